// The page: who we are, where we are (the address behind '#'), language and colours.
import {html, render, signal, useEffect, useSignal} from './ui.js';
import {choose, language, t} from './words.js';
import {live, logOut, may, session, whoAmI} from './api.js';
import {settings} from './settings.js';
import {Icon} from './parts/icon.js';
import {Lost} from './parts/lost.js';
import {Toasts, Trouble} from './parts/toast.js';
import {Login} from './views/login.js';
import {Tasks} from './views/tasks.js';
import {Task} from './views/task.js';
import {Wizard} from './views/wizard.js';
import {Access} from './views/access.js';

// Why the daemon does not even say who we are: it is away, or does not take this page's address.
const refusal = signal(null);

const place = signal(location.hash);
addEventListener('hashchange', () => place.set(location.hash));

const theme = signal(settings.read('theme') ?? 'auto');

function paint() {
  document.documentElement.dataset.theme = theme.get();
  settings.write('theme', theme.get());
}
theme.watch(paint);

// An address that somebody has typed need not be one.
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function Forbidden() {
  return html`<div class="card empty"><h1>${t('forbidden.title')}</h1><p class="dim">${t('forbidden.text')}</p></div>`;
}

// #/ · #/new · #/tasks/7 · #/tasks/7/events · #/tasks/7/edit · #/access
function View({where}) {
  const [, first, id, rest] = where.replace(/^#/, '').split('/').map(decoded);
  const role = first === 'access' ? 'admin' : first === 'new' || rest === 'edit' ? 'operator' : 'viewer';
  if (!may(role)) return html`<${Forbidden} />`;
  if (first === 'new') return html`<${Wizard} key="new" />`;
  if (first === 'tasks' && id && rest === 'edit') return html`<${Wizard} key=${`edit-${id}`} id=${id} />`;
  if (first === 'tasks' && id) return html`<${Task} key=${id} id=${id} tab=${rest || 'overview'} />`;
  if (first === 'access') return html`<${Access} />`;
  return html`<${Tasks} />`;
}

function Head() {
  const me = useSignal(session);
  const up = useSignal(live);
  const colours = useSignal(theme);
  const chosen = useSignal(language);
  const next = {auto: 'light', light: 'dark', dark: 'auto'}[colours];
  return html`<header class="head">
    <a class="brand" href="#/"><${Icon} name="logo" /><span>keyferry</span></a>
    ${me && html`<nav aria-label=${t('nav.label')}>
      <a href="#/">${t('nav.tasks')}</a>
      ${me.role === 'admin' && html`<a href="#/access">${t('nav.access')}</a>`}
    </nav>`}
    <div class="head-end">
      ${me && up !== null && html`<span class=${`live ${up ? 'on' : ''}`} role="status" title=${up ? t('live.on') : t('live.off')}>
        <span class="live-dot"></span><span class="wide">${up ? t('live.on') : t('live.off')}</span></span>`}
      <button class="quiet" id="language" lang=${chosen === 'zh' ? 'en' : 'zh-CN'} onClick=${() => choose(chosen === 'zh' ? 'en' : 'zh')}>
        ${chosen === 'zh' ? 'English' : '中文'}</button>
      <button class="quiet icon-only" id="theme" aria-label=${t('theme.label', {now: t(`theme.${colours}`)})} title=${t(`theme.${colours}`)} onClick=${() => theme.set(next)}>
        <${Icon} name=${`theme-${colours}`} /></button>
      ${me?.kind === 'session' && html`<button class="quiet" id="logout" title=${me.who} onClick=${logOut}>${t('logout')}</button>`}
    </div>
  </header>`;
}

function App() {
  const me = useSignal(session);
  const where = useSignal(place);
  const refused = useSignal(refusal);
  const chosen = useSignal(language);
  useEffect(() => {
    document.documentElement.lang = chosen === 'zh' ? 'zh-CN' : 'en';
  }, [chosen]);
  return html`<a class="skip" href="#main" onClick=${(event) => {
    event.preventDefault();
    document.getElementById('main').focus();
  }}>${t('nav.skip')}</a>
    <${Head} /><${Lost} key=${`lost-${chosen}`} />
    <main id="main" tabindex="-1" key=${chosen}>
      ${me === undefined ? html`<${Trouble} error=${refused} />` : me === null ? html`<${Login} />` : html`<${View} where=${where} />`}
    </main>
    <${Toasts} />`;
}

async function begin() {
  paint();
  render(html`<${App} />`, document.getElementById('app'));
  for (;;) {
    try {
      await whoAmI();
      return;
    } catch (problem) {
      refusal.set(problem);
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
}

begin();
