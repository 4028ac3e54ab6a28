// What has happened to a task: events beside the daily work, and its changes of state.
import {html, useSignal} from '../ui.js';
import {language, sentences, t, word} from '../words.js';
import {taskPath} from '../api.js';
import {bytes, number, seconds, time} from '../format.js';
import {Fault} from './fault.js';
import {More, usePages} from './pages.js';
import {Original, Said} from './said.js';
import {State} from './state.js';

// Events with these are worth a look.
const tones = {
  target_rolled_back: 'bad', stood_down: 'bad', disk_full: 'bad', failed: 'bad', verify_different: 'bad', source_lost: 'warn', target_waits: 'warn', full_resync: 'warn', spool_full: 'warn', verify_failed: 'warn',
};

const costText = (name, value) => word('cost', name, {value: name === 'seconds' ? seconds(value) : /bytes$/.test(name) ? bytes(value) : number(value)});

// A sentence that is not known in the page's language: its cause, costs and offset are told by their codes, and it stands below.
function Happened({event}) {
  const translate = useSignal(sentences);
  if (language.get() === 'en') return html`<p>${event.text}</p>`;
  if (translate?.(event.text).known) return html`<p><${Said} text=${event.text} /></p><${Original} texts=${[event.text]} />`;
  const facts = [event.cause && t('event_fact.cause', {cause: word('cause', event.cause)}), ...Object.entries(event.cost ?? {}).map(([name, value]) => costText(name, value)),
    event.offset != null && t('event_fact.offset', {offset: number(event.offset)})].filter(Boolean);
  return html`${facts.length > 0 && html`<p>${facts.join(t('event_fact.and'))}</p>`}<p class="dim small" lang="en">${event.text}</p>`;
}

export function Events({id, revision}) {
  const pages = usePages(taskPath(id, '/events'), revision);
  const history = usePages(taskPath(id, '/history'), revision);
  return html`<section class="card" aria-labelledby="events-title"><h2 id="events-title">${t('events.title')}</h2>
      ${pages.items.length === 0 && html`<p class="dim">${t('events.none')}</p>`}
      <ul class="events">${pages.items.map((event) => html`<li key=${event.id}><time class="dim small" datetime=${event.time}>${time(event.time)}</time>
        <div><b class=${`kind ${tones[event.kind] ?? ''}`}>${word('event', event.kind)}</b>${event.link && html` <span class="dim small">${event.link}</span>`}<${Happened} event=${event} /></div></li>`)}</ul>
      <${More} pages=${pages} /></section>
    <section class="card" aria-labelledby="history-title"><h2 id="history-title">${t('history.title')}</h2>
      <ul class="events">${history.items.map((entry) => html`<li key=${entry.id}><time class="dim small" datetime=${entry.time}>${time(entry.time)}</time>
        <div><${State} state=${entry.state} />${entry.error && html`<div class="fault"><${Fault} fault=${entry.error} /></div>`}</div></li>`)}</ul>
      <${More} pages=${history} /></section>`;
}
