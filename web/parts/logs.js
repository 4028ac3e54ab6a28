// What has happened to a task: events, changes of state, results of jobs, and the log of its process.
import {html, useEffect, useRef, useState} from '../ui.js';
import {t, word} from '../words.js';
import {call, get, may, put, taskPath} from '../api.js';
import {time} from '../format.js';
import {State} from './state.js';
import {Trouble, complain, say} from './toast.js';

// A list that is read page by page. revision: read again from its beginning when it changes.
function usePages(path, revision) {
  const [items, setItems] = useState([]);
  const [next, setNext] = useState(null);
  const [error, setError] = useState(null);
  const read = (before) => get(`${path}?limit=100${before ? `&before=${before}` : ''}`).then((page) => {
    setItems((old) => (before ? [...old, ...page.items] : page.items));
    setNext(page.next);
    setError(null);
  }, setError);
  useEffect(() => {
    read();
  }, [path, revision]);
  return {items, error, more: next ? () => read(next) : null};
}

function More({pages}) {
  return html`<${Trouble} error=${pages.error} />${pages.more && html`<button class="quiet" onClick=${pages.more}>${t('logs.more')}</button>`}`;
}

export function Events({id, revision}) {
  const pages = usePages(taskPath(id, '/events'), revision);
  const history = usePages(taskPath(id, '/history'), revision);
  return html`<section class="card" aria-labelledby="events-title"><h2 id="events-title">${t('events.title')}</h2>
      ${pages.items.length === 0 && html`<p class="dim">${t('events.none')}</p>`}
      <ul class="events">${pages.items.map((event) => html`<li key=${event.id}><time class="dim small" datetime=${event.time}>${time(event.time)}</time>
        <div><b>${word('event', event.kind)}</b>${event.link && html` <span class="dim small">${event.link}</span>`}<p>${event.text}</p></div></li>`)}</ul>
      <${More} pages=${pages} /></section>
    <section class="card" aria-labelledby="history-title"><h2 id="history-title">${t('history.title')}</h2>
      <ul class="events">${history.items.map((entry) => html`<li key=${entry.id}><time class="dim small" datetime=${entry.time}>${time(entry.time)}</time>
        <div><${State} state=${entry.state} />${entry.error && html`<p class="fault">${entry.error.text}</p>`}</div></li>`)}</ul>
      <${More} pages=${history} /></section>`;
}

export function Log({task}) {
  const [lines, setLines] = useState([]);
  const [error, setError] = useState(null);
  const box = useRef();
  const read = () => get(taskPath(task.id, '/log?lines=500')).then((log) => {
    const low = box.current && box.current.scrollHeight - box.current.scrollTop - box.current.clientHeight < 40;
    setLines(log.lines);
    setError(null);
    if (low || !lines.length) requestAnimationFrame(() => box.current?.scrollTo(0, box.current.scrollHeight));
  }, setError);
  useEffect(() => {
    read();
    const timer = setInterval(() => document.hidden || read(), 3000);
    return () => clearInterval(timer);
  }, [task.id]);
  const level = (name) => put(taskPath(task.id, '/log-level'), {level: name}).then(() => say(t('done.log_level')), complain);
  return html`<section class="card" aria-labelledby="log-title"><div class="bar"><h2 id="log-title">${t('log.title')}</h2>
      ${may('operator') && html`<div class="field row"><label for="log-level">${t('log.level')}</label><select id="log-level" value=${task.log_level} onChange=${(event) => level(event.target.value)}>
        ${['debug', 'info', 'warning', 'error'].map((name) => html`<option value=${name}>${name}</option>`)}</select></div>`}</div>
    <${Trouble} error=${error} />
    <pre class="log" ref=${box} tabindex="0" role="group" aria-label=${t('log.title')}>${lines.length ? lines.join('\n') : t('log.none')}</pre></section>`;
}

export function download(name, text, type) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], {type}));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

export function Document({task}) {
  const [text, setText] = useState('');
  const [error, setError] = useState(null);
  useEffect(() => {
    call('GET', taskPath(task.id, '/document'), {accept: 'application/yaml'}).then(setText, setError);
  }, [task.id, task.revision]);
  return html`<section class="card" aria-labelledby="document-title"><div class="bar"><h2 id="document-title">${t('document.title')}</h2>
      <button id="export" onClick=${() => download(`${task.name}.yaml`, text, 'application/yaml')}>${t('document.export')}</button></div>
    <p class="dim">${t('document.text')}</p><${Trouble} error=${error} />
    <pre class="log" tabindex="0" role="group" aria-label=${t('document.title')}>${text}</pre></section>`;
}
