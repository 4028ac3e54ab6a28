// Could the target take the source's place now? What speaks for it and against it, before anybody is asked to wait.
import {html} from '../ui.js';
import {t} from '../words.js';
import {isFile} from '../draft.js';
import {number, seconds, time} from '../format.js';
import {isAway, slowest} from '../links.js';
import {useJob} from './job.js';
import {Icon} from './icon.js';

// Writers wait at the source about as long as the lag: more than this is worth waiting for it first.
const LAG_MOST_S = 5;

// Files have no cut-over.
const isBetweenServers = (task) => !isFile(task.source) && !isFile(task.target);
export const canCutOver = (task) => task.state === 'streaming' && isBetweenServers(task);
// Also while a snapshot is under way, and that is why not.
export const mayBeAsked = (task) => ['snapshot', 'streaming'].includes(task.state) && isBetweenServers(task);

function ofLinks({links}) {
  const astray = links.filter((link) => link.state !== 'streaming' || isAway(link) || link.waiting_for);
  if (!links.length) return {result: 'skipped', text: t('ready.links_unknown')};
  return astray.length ? {result: 'failed', text: t('ready.links_astray', {count: number(astray.length), all: number(links.length)})} : {result: 'passed', text: t('ready.links', {all: number(links.length)})};
}

function ofLag({links}) {
  const lag = slowest(links);
  if (lag == null) return {result: 'failed', text: t('ready.lag_unknown')};
  if (!links.every((link) => link.caught_up)) return {result: 'failed', text: t('ready.not_caught_up')};
  return {result: lag > LAG_MOST_S ? 'warning' : 'passed', text: t(lag > LAG_MOST_S ? 'ready.lag_long' : 'ready.lag', {lag: seconds(lag)})};
}

function ofVerification(task, view) {
  const tab = {link: `#/tasks/${task.id}/verify`};
  if (view?.running?.kind === 'verify') return {result: 'skipped', text: t('ready.verify_running'), ...tab};
  if (!view?.result) return {result: 'skipped', text: t('ready.verify_none'), ...tab};
  const {result, time: at} = view.result;
  if (!result?.summary) return {result: 'warning', text: t('ready.verify_broken', {time: time(at)}), ...tab};
  const left = Object.values(result.summary.differences ?? {}).reduce((all, count) => all + count, 0) - (result.summary.repaired ?? 0);
  return left > 0 ? {result: 'failed', text: t('ready.verify_differ', {count: number(left), time: time(at)}), ...tab} : {result: 'passed', text: t('ready.verify_same', {time: time(at)}), ...tab};
}

function ofRehearsal(view) {
  if (view?.running?.kind === 'cutover') return {result: 'skipped', text: t('job.cutover')};
  if (!view?.result) return {result: 'skipped', text: t('ready.rehearsal_none')};
  const {exit_code: code, time: at} = view.result;
  return code === 0 ? {result: 'passed', text: t('ready.rehearsal', {time: time(at)})} : {result: 'failed', text: t('ready.rehearsal_failed', {time: time(at)})};
}

const icons = {passed: 'check', warning: 'warn', failed: 'cross', skipped: 'skip'};
const verdicts = [['failed', 'bad', 'cross'], ['warning', 'warn', 'warn'], ['skipped', 'calm', 'skip'], ['passed', 'good', 'check']];

// {verdict, tone, icon, points: [{result, text, link}]}; null before the status is there.
function useReadiness(task, status) {
  const revision = task.job ? task.job.id : task.state;
  const {view: verified} = useJob(task.id, 'verify', revision);
  const {view: rehearsed} = useJob(task.id, 'cutover', revision);
  if (!status) return null;
  const points = [ofLinks(status), ofLag(status), ofVerification(task, verified), ofRehearsal(rehearsed)];
  const [verdict, tone, icon] = verdicts.find(([result]) => points.some((point) => point.result === result));
  return {verdict, tone, icon, points};
}

// linked: with the way to where more is told.
function Points({points, linked}) {
  return html`<ul class="checks compact">${points.map(({result, text, link}) => html`<li class=${`check ${result}`}><span class="check-icon"><${Icon} name=${icons[result]} /></span>
    <div class="check-body"><span class="hidden">${t(`ready.${result}`)} </span>${text}${linked && link && html` <a href=${link}>${t('ready.see')}</a>`}</div></li>`)}</ul>`;
}

// For the question before a cut-over: everything.
export function Readiness({task, status}) {
  const ready = useReadiness(task, status);
  return ready && html`<div class="readiness"><p class=${`verdict ${ready.tone}`}><${Icon} name=${ready.icon} /><b>${t(`ready.is_${ready.verdict}`)}</b></p><${Points} points=${ready.points} /></div>`;
}

// For the overview: one line, which says why when it is opened.
export function ReadinessLine({task, status}) {
  const ready = useReadiness(task, status);
  return ready && html`<details class="card readiness" id="readiness"><summary>${t('ready.title')} <span class=${`answer ${ready.tone}`}><${Icon} name=${ready.icon} />${t(`ready.is_${ready.verdict}`)}</span></summary><${Points} points=${ready.points} linked=${true} /></details>`;
}
