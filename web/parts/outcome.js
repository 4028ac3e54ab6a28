// How a cut-over or a finish goes, or has gone.
import {html} from '../ui.js';
import {t, word} from '../words.js';
import {may, remove, taskPath} from '../api.js';
import {time} from '../format.js';
import {Fault} from './fault.js';
import {useJob} from './job.js';
import {Icon} from './icon.js';
import {complain} from './toast.js';

const succeeded = (result) => result.exit_code === 0;

function sentences(kind, result) {
  if (!succeeded(result)) return [kind === 'cutover' ? t('cutover.failed') : t('finish.failed')];
  if (kind === 'finish') return [t('finish.good')];
  const told = result.result ?? {};
  if (told.dry_run) return [t('cutover.rehearsed')];
  return [t('cutover.good', {time: time(told.moment)}), ...(told.held_until ? [t('cutover.held', {time: time(told.held_until)})] : [])];
}

// It may have been begun elsewhere: the task tells.
export function Outcome({task, kind}) {
  const {view} = useJob(task.id, kind, task.job?.kind === kind ? task.job.id : task.state);
  const running = view?.running?.kind === kind;
  if (running) return html`<div class="card"><p class="waiting" role="status"><span class="spinner" aria-hidden="true"></span>${word('job', kind)}
    ${may('operator') && html`<button onClick=${() => remove(taskPath(task.id, '/job')).catch(complain)}>${t('cancel')}</button>`}</p></div>`;
  const result = view?.result;
  if (!result) return null;
  const good = succeeded(result);
  return html`<div class="card outcome" id=${`outcome-${kind}`}><h2>${kind === 'cutover' ? t('cutover.title') : t('finish.title')}</h2>
    <div class=${`verdict ${good ? 'good' : 'bad'}`}><${Icon} name=${good ? 'check' : 'cross'} /><b>${sentences(kind, result).join(' ')}</b><span class="dim small">${time(result.time)}</span></div>
    ${result.error && html`<div class="fault"><${Fault} fault=${result.error} /></div>`}</div>`;
}
