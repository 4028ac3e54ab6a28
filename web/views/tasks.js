// All tasks, live. A change draws its own row alone, so that hundreds of tasks do not make the page slow.
import {Component, html, useEffect, useMemo, useState, useTitle} from '../ui.js';
import {t, word} from '../words.js';
import {get, listen, may} from '../api.js';
import {steps} from '../draft.js';
import {bytes, number, percent, place, rate, seconds, time} from '../format.js';
import {titleOf} from '../parts/fault.js';
import {Icon} from '../parts/icon.js';
import {Said} from '../parts/said.js';
import {Progress, State, tone} from '../parts/state.js';
import {Trouble, Waiting} from '../parts/toast.js';

// Links that should have their source and have not.
const awayOf = (task) => (['snapshot', 'streaming'].includes(task.state) && task.worker && task.links_connected != null ? task.links - task.links_connected : 0);
// What somebody has to look at, whatever its state.
const needsLook = (task) => tone(task.state) === 'bad' || awayOf(task) > 0 || Boolean(task.restart_at);

class Row extends Component {
  shouldComponentUpdate(next) {
    return next.task !== this.props.task;
  }

  render({task}) {
    const href = `#/tasks/${task.id}`;
    const idle = task.worker ? '' : 'idle';
    const fault = task.error ?? (task.restart_at ? task.last_error : null);
    const away = awayOf(task);
    return html`<tr>
      <th scope="row"><a href=${href}>${task.name}</a></th>
      <td class="cell-state"><${State} state=${task.state} colour=${away && tone(task.state) !== 'bad' ? 'warn' : null} />
        ${task.progress != null && html`<${Progress} share=${task.progress} label=${t('list.progress', {name: task.name})} /><span class="num small">${percent(task.progress)}</span>`}
        ${task.job && html`<span class="job">${word('job', task.job.kind)}</span>`}
        ${away > 0 && html`<span class="warned small">${t('list.away', {count: number(away), all: number(task.links)})}</span>`}
        ${task.restart_at && html`<span class="warned small">${t('list.restarts', {time: time(task.restart_at)})}</span>`}
        ${fault && html`<span class="fault small" title=${fault.text}>${t('fault.is', {kind: titleOf(fault)})} <${Said} text=${fault.text} /></span>`}</td>
      <td data-label=${t('list.way')} class="way"><span>${place(task.source)}</span> <span class="arrow" aria-label=${t('list.to')}>→</span> <span>${place(task.target)}</span></td>
      <td data-label=${t('list.links')} class=${`num ${idle}`}>${task.links ? `${task.links_connected ?? task.links} / ${task.links}` : '–'}</td>
      <td data-label=${t('list.lag')} class=${`num ${idle}`}>${seconds(task.lag.seconds)}<span class="sub">${task.lag.bytes == null ? '' : bytes(task.lag.bytes)}</span></td>
      <td data-label=${t('list.rate')} class=${`num ${idle}`}>${task.worker ? rate(task.rates.commands_per_second) : '–'}<span class="sub">${task.worker ? `${bytes(task.rates.bytes_per_second)}/s` : ''}</span></td>
    </tr>`;
  }
}

// By names that hold numbers, too: task-9 before task-10.
const collator = new Intl.Collator(undefined, {numeric: true});
const byName = (a, b) => collator.compare(a.name, b.name);
// Upwards; equal ones by name.
const orders = {
  name: () => 0,
  state: (a, b) => urgency(a) - urgency(b),
  links: (a, b) => (a.links ?? 0) - (b.links ?? 0),
  lag: (a, b) => (a.lag.seconds ?? -1) - (b.lag.seconds ?? -1),
  rate: (a, b) => (a.rates.commands_per_second ?? 0) - (b.rates.commands_per_second ?? 0),
};
// What one wants to see first of each.
const firstDown = (name) => name !== 'name';

// What was looked for stays while one looks at a task.
let kept = {search: '', state: '', order: 'name', down: false};

const urgency = (task) => (needsLook(task) ? 8 : 0) + (stateUrgency(task.state));
const stateUrgency = (state) => ({bad: 4, warn: 3, busy: 2, good: 1})[tone(state)] ?? 0;

// Events are gathered and drawn once a frame. said: the last change of a state, for who does not see it.
function useTasks() {
  const [tasks, setTasks] = useState(null);
  const [error, setError] = useState(null);
  const [said, setSaid] = useState('');
  useEffect(() => {
    const all = new Map();
    let due = 0;
    const draw = () => {
      due = 0;
      setTasks([...all.values()]);
    };
    const soon = () => {
      if (!due) due = requestAnimationFrame(draw);
    };
    const read = () => get('/tasks').then((list) => {
      all.clear();
      for (const task of list.items) all.set(task.id, task);
      setError(null);
      soon();
    }, setError);
    read();
    const leave = listen('/events', {
      task(task) {
        const before = all.get(task.id);
        if (before && before.state !== task.state) setSaid(`${task.name}: ${word('state', task.state)}`);
        all.set(task.id, task);
        soon();
      },
      removed({id}) {
        all.delete(id);
        soon();
      },
    }, read);
    return () => {
      leave();
      cancelAnimationFrame(due);
    };
  }, []);
  return [tasks, error, said];
}

// Chosen instead of a state: those that need a look.
const LOOK = 'look';

function Counts({tasks, chosen, choose}) {
  const counts = new Map();
  for (const task of tasks) counts.set(task.state, (counts.get(task.state) ?? 0) + 1);
  const looks = tasks.filter(needsLook).length;
  return html`<div class="counts" role="group" aria-label=${t('list.filter_state')}>
    <button aria-pressed=${chosen === ''} id="state-all" onClick=${() => choose('')}>${t('list.all')} <b>${number(tasks.length)}</b></button>
    ${(looks > 0 || chosen === LOOK) && html`<button id="state-look" aria-pressed=${chosen === LOOK} onClick=${() => choose(chosen === LOOK ? '' : LOOK)}><span class="state bad"><${Icon} name="warn" />${t('list.look')}</span> <b>${number(looks)}</b></button>`}
    ${[...counts].sort(([a], [b]) => stateUrgency(b) - stateUrgency(a) || (a < b ? -1 : 1)).map(([state, count]) => html`<button key=${state} id=${`state-${state}`} aria-pressed=${chosen === state} onClick=${() => choose(chosen === state ? '' : state)}>
      <${State} state=${state} /> <b>${number(count)}</b></button>`)}
  </div>`;
}

function Heading({name, label, type = '', look, change}) {
  const sorted = look.order === name;
  return html`<th scope="col" class=${type} aria-sort=${sorted ? (look.down ? 'descending' : 'ascending') : 'none'}>
    <button class="sort" onClick=${() => change({order: name, down: sorted ? !look.down : firstDown(name)})}>${label}</button></th>`;
}

// On a phone the table has no head.
function Order({look, change}) {
  const choices = Object.keys(orders).flatMap((name) => [false, true].map((down) => [`${name} ${down}`, `${t(`list.${name}`)} ${down ? '↓' : '↑'}`]));
  return html`<div class="field row phone-only"><label for="order">${t('list.order')}</label><select id="order" value=${`${look.order} ${look.down}`} onChange=${(event) => {
    const [order, down] = event.target.value.split(' ');
    change({order, down: down === 'true'});
  }}>${choices.map(([value, text]) => html`<option value=${value}>${text}</option>`)}</select></div>`;
}

const Create = () => html`<a class="button primary" id="create" href="#/new"><${Icon} name="plus" />${t('list.create')}</a>`;

function shownOf(tasks, {search, state, order, down}) {
  const wanted = search.trim().toLowerCase();
  const sign = down ? -1 : 1;
  return tasks.filter((task) => (!state || (state === LOOK ? needsLook(task) : task.state === state)) && (!wanted || `${task.name} ${place(task.source)} ${place(task.target)}`.toLowerCase().includes(wanted)))
    .sort((a, b) => sign * orders[order](a, b) || (order === 'name' ? sign : 1) * byName(a, b));
}

export function Tasks() {
  const [tasks, error, said] = useTasks();
  const [look, setLook] = useState(kept);
  const change = (part) => setLook((old) => (kept = {...old, ...part}));
  const shown = useMemo(() => shownOf(tasks ?? [], look), [tasks, look]);
  useTitle(t('list.title'));
  const column = (name, type) => html`<${Heading} name=${name} label=${t(`list.${name}`)} type=${type} look=${look} change=${change} />`;
  return html`<div class="bar"><h1>${t('list.title')}</h1>
      ${may('operator') && !(tasks && tasks.length === 0) && html`<${Create} />`}</div>
    <p class="hidden" role="status" id="said">${said}</p>
    <${Trouble} error=${error} />
    ${!tasks && !error && html`<${Waiting} />`}
    ${tasks && tasks.length === 0 && html`<div class="card empty"><h2>${t('list.empty_title')}</h2><p class="dim">${t('list.empty_text')}</p>
      ${may('operator') && html`<ol class="way-there">${steps.map((name) => html`<li>${t(`step.${name}`)}</li>`)}</ol><div><${Create} /></div>`}</div>`}
    ${tasks && tasks.length > 0 && html`<div class="bar tools">
        <input type="search" id="search" aria-label=${t('list.search')} placeholder=${t('list.search')} value=${look.search} onInput=${(event) => change({search: event.target.value})} />
        <${Counts} tasks=${tasks} chosen=${look.state} choose=${(state) => change({state})} /><${Order} look=${look} change=${change} /></div>
      <div class="card table-card"><table class="tasks cards">
        <caption class="hidden">${t('list.title')}</caption>
        <thead><tr>${column('name')}${column('state')}<th scope="col">${t('list.way')}</th>${column('links', 'num')}${column('lag', 'num')}${column('rate', 'num')}</tr></thead>
        <tbody>${shown.map((task) => html`<${Row} key=${task.id} task=${task} />`)}</tbody>
      </table>${shown.length === 0 && html`<p class="empty dim">${t('list.none')}</p>`}</div>
      <p class="dim small" role="status" id="shown">${shown.length < tasks.length ? t('list.shown', {count: number(shown.length), all: number(tasks.length)}) : ''}</p>`}`;
}
