// All tasks, live. A change draws its own row alone, so that hundreds of tasks do not make the page slow.
import {Component, html, useEffect, useMemo, useState} from '../ui.js';
import {t, word} from '../words.js';
import {get, listen, may} from '../api.js';
import {bytes, number, percent, place, rate, seconds} from '../format.js';
import {Icon} from '../parts/icon.js';
import {Progress, State, tone} from '../parts/state.js';
import {Trouble} from '../parts/toast.js';

class Row extends Component {
  shouldComponentUpdate(next) {
    return next.task !== this.props.task;
  }

  render({task}) {
    const href = `#/tasks/${task.id}`;
    const fault = task.error ?? (task.restart_at ? task.last_error : null);
    return html`<tr>
      <th scope="row"><a href=${href}>${task.name}</a></th>
      <td class="cell-state"><${State} state=${task.state} />
        ${task.progress != null && html`<${Progress} share=${task.progress} label=${t('list.progress', {name: task.name})} /><span class="num small">${percent(task.progress)}</span>`}
        ${task.job && html`<span class="job">${word('job', task.job.kind)}</span>`}
        ${fault && html`<span class="fault small" title=${fault.text}>${fault.text}</span>`}</td>
      <td data-label=${t('list.way')} class="way"><span>${place(task.source)}</span> <span class="arrow" aria-label=${t('list.to')}>→</span> <span>${place(task.target)}</span></td>
      <td data-label=${t('list.links')} class="num">${task.links ? `${task.links_connected ?? task.links} / ${task.links}` : '–'}</td>
      <td data-label=${t('list.lag')} class="num">${seconds(task.lag.seconds)}<span class="sub">${task.lag.bytes == null ? '' : bytes(task.lag.bytes)}</span></td>
      <td data-label=${t('list.rate')} class="num">${task.worker ? rate(task.rates.commands_per_second) : '–'}<span class="sub">${task.worker ? `${bytes(task.rates.bytes_per_second)}/s` : ''}</span></td>
    </tr>`;
  }
}

const orders = {
  name: (a, b) => a.name.localeCompare(b.name),
  state: (a, b) => urgency(b) - urgency(a) || a.name.localeCompare(b.name),
  lag: (a, b) => (b.lag.seconds ?? -1) - (a.lag.seconds ?? -1) || a.id - b.id,
  rate: (a, b) => (b.rates.commands_per_second ?? 0) - (a.rates.commands_per_second ?? 0) || a.id - b.id,
};
const urgency = (task) => ({bad: 4, warn: 3, busy: 2, good: 1})[tone(task.state)] ?? 0;

// Events are gathered and drawn once a frame.
function useTasks() {
  const [tasks, setTasks] = useState(null);
  const [error, setError] = useState(null);
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
  return [tasks, error];
}

function Counts({tasks, chosen, choose}) {
  const counts = new Map();
  for (const task of tasks) counts.set(task.state, (counts.get(task.state) ?? 0) + 1);
  return html`<div class="counts" role="group" aria-label=${t('list.filter_state')}>
    <button aria-pressed=${chosen === ''} onClick=${() => choose('')}>${t('list.all')} <b>${number(tasks.length)}</b></button>
    ${[...counts].sort().map(([state, count]) => html`<button key=${state} aria-pressed=${chosen === state} onClick=${() => choose(chosen === state ? '' : state)}>
      <${State} state=${state} /> <b>${number(count)}</b></button>`)}
  </div>`;
}

export function Tasks() {
  const [tasks, error] = useTasks();
  const [search, setSearch] = useState('');
  const [state, setState] = useState('');
  const [order, setOrder] = useState('name');
  const shown = useMemo(() => {
    const wanted = search.trim().toLowerCase();
    return (tasks ?? []).filter((task) => (!state || task.state === state) && (!wanted || `${task.name} ${place(task.source)} ${place(task.target)}`.toLowerCase().includes(wanted)))
      .sort(orders[order]);
  }, [tasks, search, state, order]);
  const column = (name, label, type = '') => html`<th scope="col" class=${type} aria-sort=${order === name ? (name === 'name' ? 'ascending' : 'descending') : 'none'}>
    <button class="sort" onClick=${() => setOrder(name)}>${label}</button></th>`;
  return html`<div class="bar"><h1>${t('list.title')}</h1>
      ${may('operator') && html`<a class="button primary" id="create" href="#/new"><${Icon} name="plus" />${t('list.create')}</a>`}</div>
    <${Trouble} error=${error} />
    ${tasks && tasks.length === 0 && html`<div class="card empty"><h2>${t('list.empty_title')}</h2><p class="dim">${t('list.empty_text')}</p>
      ${may('operator') && html`<a class="button primary" href="#/new">${t('list.create')}</a>`}</div>`}
    ${tasks && tasks.length > 0 && html`<div class="bar tools">
        <input type="search" id="search" aria-label=${t('list.search')} placeholder=${t('list.search')} value=${search} onInput=${(event) => setSearch(event.target.value)} />
        <${Counts} tasks=${tasks} chosen=${state} choose=${setState} /></div>
      <div class="card table-card"><table class="tasks cards">
        <caption class="hidden">${t('list.title')}</caption>
        <thead><tr>${column('name', t('list.name'))}${column('state', t('list.state'))}<th scope="col">${t('list.way')}</th><th scope="col" class="num">${t('list.links')}</th>
          ${column('lag', t('list.lag'), 'num')}${column('rate', t('list.rate'), 'num')}</tr></thead>
        <tbody>${shown.map((task) => html`<${Row} key=${task.id} task=${task} />`)}</tbody>
      </table>${shown.length === 0 && html`<p class="empty dim">${t('list.none')}</p>`}</div>`}`;
}
