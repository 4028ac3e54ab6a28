// Which databases are copied, and where each goes: with the keys that the source really has.
import {html, useEffect, useState} from '../ui.js';
import {t} from '../words.js';
import {post} from '../api.js';
import {read, write} from '../document.js';
import {tell} from '../check.js';
import {isFile} from '../draft.js';
import {number} from '../format.js';
import {Wrong} from './field.js';
import {Trouble} from './toast.js';

// What a side holds. task: whose stored secrets the document's stand-ins mean.
const readKeyspace = (document, side, task) => post('/databases', {document: {[side]: document[side] ?? {}}, side, ...(task ? {task: String(task)} : {})});

// {held, error, ask()}: asked once, unless the side is files, and again on request.
function useKeyspace(document, side, task) {
  const [held, setHeld] = useState(null);
  const [error, setError] = useState(null);
  const ask = () => {
    setError(null);
    readKeyspace(document, side, task).then(setHeld, setError);
  };
  useEffect(() => {
    if (!isFile(document[side])) ask();
  }, []);
  return {held, error, ask};
}

// Masters that are named; of more their number is told.
const NAMED_MOST = 6;
const masterText = (master) => `${master.address} · ${master.version} · ${t('databases.count', {count: number(master.keys)})}`;

function Found({held, error, ask, asking, id}) {
  return html`<${Trouble} error=${error} />
    ${!held && !error && html`<p class="waiting" role="status"><span class="spinner" aria-hidden="true"></span>${asking}</p>`}
    ${error && html`<button onClick=${ask}>${t('databases.again')}</button>`}
    ${held && html`<p id=${id}>${t('databases.found', {mode: t(`mode.${held.mode}`), masters: held.masters.length, keys: number(held.keys)})}</p>
      <p class="dim small">${held.masters.slice(0, NAMED_MOST).map(masterText).join('; ')}${held.masters.length > NAMED_MOST && `; ${t('databases.more', {count: number(held.masters.length - NAMED_MOST)})}`}</p>`}`;
}

// Nothing is written there yet: that it answers, and what it holds, is good to know before the checks.
function Target({document, task}) {
  const {held, error, ask} = useKeyspace(document, 'target', task);
  if (isFile(document.target)) return null;
  const existing = document.target?.existing ?? 'fail';
  return html`<div class="card" id="target-card"><h2>${t('side.target')}</h2>
    <${Found} held=${held} error=${error} ask=${ask} asking=${t('databases.asking_target')} id="target-keyspace" />
    ${held?.keys > 0 && html`<p class=${existing === 'fail' ? 'warned' : ''}>${t(`databases.target_${existing}`)}</p>`}</div>`;
}

function Row({entry, chosen, mapped, pick, map}) {
  const label = t('databases.number', {number: entry.database});
  return html`<tr>
    <td><input type="checkbox" id=${`db-${entry.database}`} aria-label=${label} checked=${chosen} onChange=${(event) => {
      // What is drawn is what holds: the last one stays.
      if (!pick(event.target.checked)) event.target.checked = chosen;
    }} /></td>
    <th scope="row"><label for=${`db-${entry.database}`}>${label}</label></th>
    <td class="num" data-label=${t('databases.keys')}>${number(entry.keys)}</td>
    <td class="num" data-label=${t('databases.expiring')}>${number(entry.expiring)}</td>
    <td data-label=${t('databases.target')}><input class="narrow" type="number" min="0" max="1000000" aria-label=${t('databases.target_of', {number: entry.database})} placeholder=${entry.database} value=${mapped ?? ''}
      disabled=${!chosen} onInput=${(event) => map(event.target)} /></td></tr>`;
}

export function Databases({document, change, task}) {
  const {held, error, ask} = useKeyspace(document, 'source', task);
  if (isFile(document.source)) return html`<p class="card dim">${t('databases.file')}</p><${Target} document=${document} task=${task} />`;
  const chosen = read(document, 'source.databases');
  const all = chosen === undefined || chosen === 'all';
  const picked = new Set(all ? (held?.databases ?? []).map((entry) => entry.database) : [].concat(chosen).map(Number));
  const known = held ? [...held.databases, ...[...picked].filter((one) => !held.databases.some((entry) => entry.database === one)).map((database) => ({database, keys: 0, expiring: 0}))] : [];
  const pick = (database, wanted) => {
    const next = new Set(picked);
    if (wanted) next.add(database);
    else next.delete(database);
    // None would mean all of them.
    if (!next.size) {
      tell('source.databases', ['databases.none_chosen']);
      return false;
    }
    change(write(document, 'source.databases', [...next].sort((a, b) => a - b)));
    return true;
  };
  const map = (database, field) => {
    if (field.validity.valid && (field.value === '' || Number.isInteger(Number(field.value)))) change(write(document, `target.database_map.${database}`, field.value === '' ? undefined : Number(field.value)));
    else tell('target.database_map', ['databases.not_a_number']);
  };
  return html`<div class="card"><h2>${t('side.source')}</h2>
    <${Wrong} path="source.databases" /><${Wrong} path="target.database_map" />
    <${Found} held=${held} error=${error} ask=${ask} asking=${t('databases.asking')} id="keyspace" />
    ${held && html`<div class="choices" role="radiogroup" aria-label=${t('step.databases')}>
        <label><input type="radio" name="databases" checked=${all} onChange=${() => change(write(document, 'source.databases', undefined))} /> ${t('databases.all')}</label>
        <label><input type="radio" id="databases-chosen" name="databases" checked=${!all} disabled=${known.length === 0} onChange=${() => change(write(document, 'source.databases', [...picked]))} /> ${t('databases.chosen')}</label></div>
      ${known.length > 0 ? html`<table class="cards"><caption class="hidden">${t('step.databases')}</caption><thead><tr><th scope="col" class="tick"><span class="hidden">${t('databases.pick')}</span></th><th scope="col">${t('databases.database')}</th>
        <th scope="col" class="num">${t('databases.keys')}</th><th scope="col" class="num">${t('databases.expiring')}</th><th scope="col">${t('databases.target')}</th></tr></thead>
        <tbody>${known.map((entry) => html`<${Row} key=${entry.database} entry=${entry} chosen=${picked.has(entry.database)} mapped=${read(document, `target.database_map.${entry.database}`)}
          pick=${(wanted) => pick(entry.database, wanted)}
          map=${(field) => map(entry.database, field)} />`)}</tbody></table>` : html`<p class="dim">${t('databases.empty')}</p>`}`}
  </div><${Target} document=${document} task=${task} />`;
}
