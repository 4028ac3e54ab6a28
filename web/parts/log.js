// The log of a task's process as it comes, and how much it tells.
import {html, useEffect, useRef, useState} from '../ui.js';
import {t} from '../words.js';
import {listen, may, put, taskPath} from '../api.js';
import {complain, say} from './toast.js';

const LINES = 1000; // at the beginning
const LINES_MAX = 5000; // that are kept

export function Log({task}) {
  const [lines, setLines] = useState([]);
  const [search, setSearch] = useState('');
  const box = useRef();
  const low = useRef(true);
  const add = (more) => {
    low.current = !box.current || box.current.scrollHeight - box.current.scrollTop - box.current.clientHeight < 40;
    setLines((before) => [...before, ...more].slice(-LINES_MAX));
  };
  useEffect(() => listen(taskPath(task.id, `/log?lines=${LINES}`), {
    lines: (data) => add(data.lines),
    gap: () => add(['...']),
  }, (again) => again || setLines([]), false), [task.id]);
  // Who reads further up is left there.
  useEffect(() => low.current && box.current?.scrollTo(0, box.current.scrollHeight), [lines]);
  const level = (name) => put(taskPath(task.id, '/log-level'), {level: name}).then(() => say(t('done.log_level')), complain);
  const wanted = search.trim().toLowerCase();
  const shown = wanted ? lines.filter((line) => line.toLowerCase().includes(wanted)) : lines;
  return html`<section class="card" aria-labelledby="log-title"><div class="bar"><h2 id="log-title">${t('log.title')}</h2>
      <div class="buttons"><input type="search" id="log-search" class="middle" aria-label=${t('log.search')} placeholder=${t('log.search')} value=${search} onInput=${(event) => setSearch(event.target.value)} />
        ${may('operator') && html`<div class="field row"><label for="log-level">${t('log.level')}</label><select id="log-level" value=${task.log_level} onChange=${(event) => level(event.target.value)}>
          ${['debug', 'info', 'warning', 'error'].map((name) => html`<option value=${name}>${name}</option>`)}</select></div>`}</div></div>
    <pre class="log" ref=${box} tabindex="0" role="group" aria-label=${t('log.title')}>${lines.length ? shown.join('\n') || t('log.no_match') : t('log.none')}</pre></section>`;
}
