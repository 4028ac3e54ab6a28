// Verification: compare both sides, see what differs, repair it.
import {html, useState} from '../ui.js';
import {t, word} from '../words.js';
import {may, remove, taskPath} from '../api.js';
import {number, time} from '../format.js';
import {useJob} from './job.js';
import {Confirm} from './dialog.js';
import {Icon} from './icon.js';
import {Trouble, complain} from './toast.js';

const SHOWN = 200;

// Keys that are not printable come as base64.
const keyText = (key) => (key == null ? '' : typeof key === 'object' ? `base64:${key.b64}` : key);

function Differences({list, more}) {
  return html`<div class="scroll" tabindex="0" role="group" aria-label=${t('verify.differences')}><table class="cards">
    <caption class="hidden">${t('verify.differences')}</caption>
    <thead><tr><th scope="col">${t('verify.key')}</th><th scope="col">${t('verify.kind')}</th><th scope="col" class="num">${t('verify.db')}</th><th scope="col">${t('verify.detail')}</th><th scope="col">${t('verify.repaired')}</th></tr></thead>
    <tbody>${list.slice(0, SHOWN).map((one, at) => html`<tr key=${at}>
      <th scope="row"><code>${keyText(one.key)}</code></th><td>${word('difference', one.kind)}</td><td class="num" data-label=${t('verify.db')}>${one.db}</td>
      <td>${one.difference}</td><td data-label=${t('verify.repaired')}>${one.repaired ? t('yes') : t('no')}</td></tr>`)}</tbody></table>
    ${(list.length > SHOWN || more > list.length) && html`<p class="dim small">${t('verify.more', {shown: number(Math.min(SHOWN, list.length)), all: number(Math.max(more, list.length))})}</p>`}</div>`;
}

// Kinds are counted in an object or beside the other counts.
const countOf = (summary) => Object.values(summary.differences ?? {}).reduce((all, count) => all + count, 0);

function Result({result, repair}) {
  const summary = result.result?.summary;
  const list = result.result?.differences ?? [];
  if (!summary) return html`<div class="trouble" role="alert"><p>${result.error?.text ?? t('verify.broken')}</p>${result.error?.hint && html`<p class="hint">${result.error.hint}</p>`}</div>`;
  const found = Math.max(countOf(summary), list.length);
  const left = found - (summary.repaired ?? 0);
  return html`<p class=${`verdict ${left > 0 ? 'bad' : 'good'}`} id="verify-verdict"><${Icon} name=${left > 0 ? 'cross' : 'check'} />
      <b>${found === 0 ? t('verify.same') : left > 0 ? t('verify.differ', {count: number(left)}) : t('verify.all_repaired', {count: number(found)})}</b>
      <span class="dim small">${t('verify.compared', {count: number(summary.compared), undecided: number(summary.undecided ?? 0)})} · ${time(result.time)}</span></p>
    ${list.length > 0 && html`<${Differences} list=${list} more=${found} />`}
    ${left > 0 && may('operator') && html`<button class="primary" id="repair" onClick=${repair}>${t('verify.repair')}</button>`}`;
}

export function Verify({task}) {
  const {view, error, start} = useJob(task.id, 'verify');
  const [mode, setMode] = useState('full');
  const [asking, setAsking] = useState(false);
  const running = view?.running;
  const possible = ['streaming', 'paused'].includes(task.state) && !task.job && !running;
  return html`<section class="card" aria-labelledby="verify-title"><h2 id="verify-title">${t('verify.title')}</h2>
    <p class="dim">${t('verify.text')}</p>
    ${may('operator') && html`<div class="fields">
      <div class="field"><label for="verify-mode">${t('verify.mode')}</label><select id="verify-mode" value=${mode} onChange=${(event) => setMode(event.target.value)}>
        <option value="full">${t('verify.full')}</option><option value="outline">${t('verify.outline')}</option></select></div>
      <div class="field end"><button class="primary" id="verify-start" disabled=${!possible} onClick=${() => start({mode}).catch(complain)}>${t('verify.start')}</button></div></div>`}
    ${!possible && !running && html`<p class="hint">${t('verify.when')}</p>`}
    <${Trouble} error=${error} />
    ${running && running.kind === 'verify' && html`<p class="waiting" role="status"><span class="spinner" aria-hidden="true"></span>${t('verify.running')}
      ${may('operator') && html`<button class="quiet" onClick=${() => remove(taskPath(task.id, '/job')).catch(complain)}>${t('cancel')}</button>`}</p>`}
    ${!running && view?.result && html`<${Result} result=${view.result} repair=${() => setAsking(true)} />`}
    ${asking && html`<${Confirm} title=${t('repair.title')} text=${t('repair.text')} points=${[t('repair.1'), t('repair.2')]} action=${t('verify.repair')} danger=${true}
      onClose=${() => setAsking(false)} run=${() => start({mode, repair: true})} />`}
  </section>`;
}
