// What an operator may do with a task now. Each asks first and says what will happen.
import {html, useState} from '../ui.js';
import {t} from '../words.js';
import {may, post, remove, taskPath} from '../api.js';
import {Icon} from './icon.js';
import {Confirm} from './dialog.js';
import {Readiness, canCutOver} from './readiness.js';
import {say} from './toast.js';

export const isRunning = (task) => ['prechecking', 'snapshot', 'streaming', 'starting'].includes(task.state) || task.wanted === 'running';
const isQuiet = (task) => !isRunning(task) && !task.worker && !task.job;

const plain = (name) => async (task) => {
  await post(taskPath(task.id, `/${name}`));
  say(t(`done.${name}`, {name: task.name}));
};

// may: of a task; points: keys of what will happen.
const actions = {
  start: {icon: 'play', primary: true, may: (task) => ['created', 'ready', 'precheck-failed'].includes(task.state) && !task.job && task.wanted !== 'running', run: plain('start')},
  resume: {icon: 'play', primary: true, may: (task) => ['paused', 'failed'].includes(task.state) && task.wanted !== 'running', run: plain('resume')},
  pause: {icon: 'pause', may: isRunning, run: plain('pause')},
  stop: {icon: 'stop', may: (task) => isRunning(task) || ['paused', 'failed'].includes(task.state), run: plain('stop')},
  cutover: {icon: 'swap', may: (task) => canCutOver(task) && !task.job},
  finish: {icon: 'flag', may: (task) => ['paused', 'ready', 'failed'].includes(task.state) && isQuiet(task), danger: true, run: plain('finish')},
  edit: {icon: 'edit', link: (task) => `#/tasks/${task.id}/edit`, may: (task) => isQuiet(task) && task.state !== 'finished'},
  delete: {
    icon: 'bin', danger: true, may: isQuiet,
    async run(task) {
      await remove(taskPath(task.id));
      say(t('done.delete', {name: task.name}));
      location.hash = '#/';
    },
  },
};

const points = (name) => [1, 2, 3, 4].map((number) => `confirm.${name}.${number}`).filter((key) => t(key) !== key).map((key) => t(key));

function Cutover({task, status, onClose, onDone}) {
  const [verify, setVerify] = useState('outline');
  const [byHand, setByHand] = useState(false);
  const [dryRun, setDryRun] = useState(true);
  return html`<${Confirm} title=${t('confirm.cutover.title', {name: task.name})} text=${t('confirm.cutover.text')} points=${points('cutover')} danger=${!dryRun}
    action=${dryRun ? t('cutover.rehearse') : t('action.cutover')} onClose=${onClose} run=${async () => {
      await post(taskPath(task.id, '/cutover'), {verify, by_hand: byHand, dry_run: dryRun});
      say(t('done.cutover', {name: task.name}));
      onDone?.();
    }}>
    <${Readiness} task=${task} status=${status} />
    <label class="check-line"><input type="checkbox" checked=${dryRun} onChange=${(event) => setDryRun(event.target.checked)} /> ${t('cutover.dry_run')}</label>
    <label class="check-line"><input type="checkbox" checked=${byHand} onChange=${(event) => setByHand(event.target.checked)} /> ${t('cutover.by_hand')}</label>
    <label for="cutover-verify">${t('cutover.verify')}</label>
    <select id="cutover-verify" value=${verify} onChange=${(event) => setVerify(event.target.value)}>
      <option value="outline">${t('verify.outline')}</option><option value="full">${t('verify.full')}</option><option value="none">${t('verify.none')}</option></select>
  <//>`;
}

export function Actions({task, status, onDone}) {
  const [asked, setAsked] = useState(null);
  if (!may('operator')) return null;
  const close = () => setAsked(null);
  return html`<div class="buttons actions" role="group" aria-label=${t('action.label')}>
    ${Object.entries(actions).filter(([, action]) => action.may(task)).map(([name, action]) => action.link
      ? html`<a key=${name} class="button" href=${action.link(task)}><${Icon} name=${action.icon} />${t(`action.${name}`)}</a>`
      : html`<button key=${name} id=${`do-${name}`} class=${action.primary ? 'primary' : ''} onClick=${() => setAsked(name)}><${Icon} name=${action.icon} />${t(`action.${name}`)}</button>`)}
    ${asked === 'cutover' && html`<${Cutover} task=${task} status=${status} onClose=${close} onDone=${onDone} />`}
    ${asked && asked !== 'cutover' && html`<${Confirm} title=${t(`confirm.${asked}.title`, {name: task.name})} points=${points(asked)} action=${t(`action.${asked}`)}
      danger=${actions[asked].danger} onClose=${close} run=${async () => {
        await actions[asked].run(task);
        if (asked !== 'delete') onDone?.();
      }} />`}
  </div>`;
}
