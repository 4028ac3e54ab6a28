// Verification: compare both sides, see what differs, repair it.
import {html, useState} from '../ui.js';
import {t} from '../words.js';
import {may, remove, taskPath} from '../api.js';
import {number, time} from '../format.js';
import {useJob} from './job.js';
import {Confirm} from './dialog.js';
import {Differences, countsOf} from './differences.js';
import {Fault} from './fault.js';
import {Icon} from './icon.js';
import {Trouble, complain} from './toast.js';

function sentence(found, left) {
  if (found === 0) return t('verify.same');
  if (left === 0) return t('verify.all_repaired', {count: number(found)});
  return left < found ? t('verify.some_repaired', {left: number(left), repaired: number(found - left)}) : t('verify.differ', {count: number(left)});
}

function Result({task, result, possible, repair, reload}) {
  const summary = result.result?.summary;
  if (!summary) return html`<div class="trouble" role="alert">${result.error ? html`<${Fault} fault=${result.error} />` : html`<p>${t('verify.broken')}</p>`}</div>`;
  const found = Object.values(summary.differences ?? {}).reduce((all, count) => all + count, 0);
  const left = found - (summary.repaired ?? 0);
  return html`<p class=${`verdict ${left > 0 ? 'bad' : 'good'}`} id="verify-verdict" role="status"><${Icon} name=${left > 0 ? 'cross' : 'check'} />
      <b>${sentence(found, left)}</b>
      <span class="dim small">${t('verify.compared', {count: number(summary.compared), undecided: number(summary.undecided ?? 0)})} · ${time(result.time)}</span></p>
    ${left > 0 && may('operator') && html`<p><button class="primary" id="repair" disabled=${!possible} onClick=${repair}>${t('verify.repair')}</button></p>`}
    ${Object.keys(countsOf(summary)).length > 0 && html`<${Differences} task=${task} result=${result} replaced=${reload} />`}`;
}

export function Verify({task}) {
  const {view, error, start, reload} = useJob(task.id, 'verify', task.job?.kind === 'verify' ? task.job.id : 0);
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
    ${running && html`<p class="waiting" role="status"><span class="spinner" aria-hidden="true"></span>${t('verify.running')}
      ${may('operator') && html`<button onClick=${() => remove(taskPath(task.id, '/job')).catch(complain)}>${t('cancel')}</button>`}</p>`}
    ${!running && view?.result && html`<${Result} task=${task} result=${view.result} possible=${possible} repair=${() => setAsking(true)} reload=${reload} />`}
    ${asking && html`<${Confirm} title=${t('repair.title')} text=${t('repair.text')} points=${[t('repair.1'), t('repair.2')]} action=${t('verify.repair')} danger=${true} onClose=${() => setAsking(false)} run=${() => start({mode, repair: true})} />`}
  </section>`;
}
