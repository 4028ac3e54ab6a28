// The log of a task's process, and how much it tells.
import {html, useEffect, useRef, useState} from '../ui.js';
import {t} from '../words.js';
import {get, may, put, taskPath} from '../api.js';
import {Trouble, complain, say} from './toast.js';

const AGAIN_MS = 3000;

export function Log({task}) {
  const [lines, setLines] = useState([]);
  const [error, setError] = useState(null);
  const [search, setSearch] = useState('');
  const box = useRef();
  const read = () => get(taskPath(task.id, '/log?lines=1000')).then((log) => {
    const low = box.current && box.current.scrollHeight - box.current.scrollTop - box.current.clientHeight < 40;
    setLines(log.lines);
    setError(null);
    if (low || !lines.length) requestAnimationFrame(() => box.current?.scrollTo(0, box.current.scrollHeight));
  }, setError);
  useEffect(() => {
    read();
    const timer = setInterval(() => document.hidden || read(), AGAIN_MS);
    return () => clearInterval(timer);
  }, [task.id]);
  const level = (name) => put(taskPath(task.id, '/log-level'), {level: name}).then(() => say(t('done.log_level')), complain);
  const wanted = search.trim().toLowerCase();
  const shown = wanted ? lines.filter((line) => line.toLowerCase().includes(wanted)) : lines;
  return html`<section class="card" aria-labelledby="log-title"><div class="bar"><h2 id="log-title">${t('log.title')}</h2>
      <div class="buttons"><input type="search" id="log-search" class="middle" aria-label=${t('log.search')} placeholder=${t('log.search')} value=${search} onInput=${(event) => setSearch(event.target.value)} />
        ${may('operator') && html`<div class="field row"><label for="log-level">${t('log.level')}</label><select id="log-level" value=${task.log_level} onChange=${(event) => level(event.target.value)}>
          ${['debug', 'info', 'warning', 'error'].map((name) => html`<option value=${name}>${name}</option>`)}</select></div>`}</div></div>
    <${Trouble} error=${error} />
    <pre class="log" ref=${box} tabindex="0" role="group" aria-label=${t('log.title')}>${lines.length ? shown.join('\n') || t('log.no_match') : t('log.none')}</pre></section>`;
}
