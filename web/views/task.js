// One task: how it is now, live, and what may be done with it.
import {html, useEffect, useRef, useState, useTitle} from '../ui.js';
import {t, word} from '../words.js';
import {get, listen, may, taskPath} from '../api.js';
import {bytes, limit, number, percent, place, rate, seconds, time} from '../format.js';
import {snapshotOf, timeLeft} from '../snapshot.js';
import {liveOf, take} from '../trend.js';
import {bytesBehind, isAway, needsLook, slowest} from '../links.js';
import {Actions} from '../parts/actions.js';
import {Charts} from '../parts/charts.js';
import {Events} from '../parts/events.js';
import {Fault} from '../parts/fault.js';
import {Icon} from '../parts/icon.js';
import {Limits} from '../parts/limits.js';
import {Links} from '../parts/links.js';
import {Log} from '../parts/log.js';
import {PrecheckReport} from '../parts/precheck.js';
import {useJob} from '../parts/job.js';
import {Outcome} from '../parts/outcome.js';
import {ReadinessLine, mayBeAsked} from '../parts/readiness.js';
import {Sheet} from '../parts/sheet.js';
import {Progress, State, tone} from '../parts/state.js';
import {Trouble, Waiting, complain} from '../parts/toast.js';
import {Verify} from '../parts/verify.js';

const tabs = ['overview', 'precheck', 'verify', 'events', 'log', 'document'];
const TASK_MS = 1500;

// The task is asked for again when its state changes, and with its status at most each TASK_MS: a stream has one task's status alone.
function useTask(id) {
  const [task, setTask] = useState(null);
  const [status, setStatus] = useState(null);
  const [revision, setRevision] = useState(0);
  const [error, setError] = useState(null);
  const asked = useRef(0);
  const reload = () => {
    asked.current = Date.now();
    return get(taskPath(id)).then((next) => {
      setTask(next);
      setError(null);
    }, setError);
  };
  useEffect(() => {
    let later = 0;
    reload();
    const leave = listen(taskPath(id, '/events'), {
      status(next) {
        take(id, next);
        setStatus(next);
        if (Date.now() - asked.current > TASK_MS) reload();
        clearTimeout(later);
        later = setTimeout(reload, TASK_MS);
      },
      state() {
        reload();
        setRevision((n) => n + 1);
      },
      incident() {
        setRevision((n) => n + 1);
      },
      removed() {
        location.hash = '#/';
      },
    }, () => {
      reload();
      setRevision((n) => n + 1);
    });
    return () => {
      leave();
      clearTimeout(later);
    };
  }, [id]);
  return {task, status, revision, error, reload};
}

function Failure({task}) {
  const waits = !task.error && task.restart_at;
  const fault = task.error ?? (waits ? task.last_error : null);
  if (!fault) return null;
  return html`<div class="trouble" role="alert" id="fault"><${Fault} fault=${fault} lead=${task.restart_at ? t('task.restarts_at', {time: time(task.restart_at)}) : null} />
    ${task.state === 'precheck-failed' && html`<p><a href=${`#/tasks/${task.id}/precheck`}>${t('task.see_checks')}</a></p>`}</div>`;
}

function Snapshot({task, status}) {
  const snapshot = snapshotOf(status);
  if (status.state !== 'snapshot' || snapshot.share == null) return null;
  const left = timeLeft(liveOf(task.id), snapshot);
  const told = snapshot.unit === 'bytes' ? bytes : number;
  return html`<section class="card snapshot" aria-label=${t('snapshot.title')}>
    <div class="bar"><h2>${t('snapshot.title')}</h2><b class="num">${percent(snapshot.share)}</b></div>
    <${Progress} share=${snapshot.share} label=${t('snapshot.title')} />
    <p class="dim small">${t('snapshot.done', {done: told(snapshot.done), total: told(snapshot.total), keys: number(snapshot.keys)})} · ${left == null ? t('snapshot.left_unknown') : t('snapshot.left', {time: seconds(left)})}</p>
  </section>`;
}

function Figure({label, value, sub}) {
  return html`<div class="figure"><dt>${label}</dt><dd>${value}<span class="sub">${sub}</span></dd></div>`;
}

// By the same status as the links below it, so that figures agree.
function Lag({task, status}) {
  const links = task.worker && status ? status.links : [];
  const away = links.filter(isAway).length;
  const behind = links.length ? links.map(bytesBehind) : [task.lag.bytes];
  const size = behind.some((value) => value == null) ? '' : bytes(behind.reduce((all, value) => all + value, 0));
  return html`<${Figure} label=${t('task.lag')} value=${seconds(links.length ? slowest(links) : task.lag.seconds)} sub=${away ? html`<span class="fault">${t('task.lag_unknown', {count: number(away), all: number(links.length)})}</span>` : size} />`;
}

function Overview({task, status, reload}) {
  const [limits, setLimits] = useState(false);
  const links = status?.links ?? [];
  const spool = links.reduce((all, link) => all + link.spool.bytes, 0);
  return html`<dl class="figures">
      <${Lag} task=${task} status=${status} />
      <${Figure} label=${t('task.rate')} value=${task.worker ? rate(task.rates.commands_per_second) : '–'} sub=${task.worker ? `${bytes(task.rates.bytes_per_second)}/s` : ''} />
      <${Figure} label=${t('task.spool')} value=${links.length ? bytes(spool) : '–'} sub=${t('task.spool_text')} />
      <${Figure} label=${t('task.limit')} value=${limit(task)} sub=${may('operator') && task.state !== 'finished' && html`<button class="link" id="limits" onClick=${() => setLimits(true)}>${t('task.change')}</button>`} />
    </dl>
    ${mayBeAsked(task) && links.length > 0 && html`<${ReadinessLine} task=${task} status=${status} />`}
    <${Outcome} task=${task} kind="cutover" /><${Outcome} task=${task} kind="finish" />
    ${limits && html`<${Limits} task=${task} onClose=${() => setLimits(false)} onDone=${reload} />`}
    ${status && html`<${Snapshot} task=${task} status=${status} />`}
    ${links.length > 0 ? html`<${Links} task=${task} status=${status} />` : html`<p class="card empty dim">${t('task.quiet')}</p>`}
    <${Charts} task=${task} status=${status} />`;
}

function Precheck({task}) {
  const job = useJob(task.id, 'precheck', task.job?.kind === 'precheck' ? task.job.id : 0);
  // The checks at a start name the first item that failed; only a precheck has them all.
  const refused = task.state === 'precheck-failed' && job.view && !job.view.running && !(job.view.result?.time >= task.since);
  return html`<section class="card" aria-labelledby="precheck-title"><div class="bar"><h2 id="precheck-title">${t('precheck.title')}</h2>
      ${may('operator') && html`<button id="precheck-start" disabled=${Boolean(task.job) || task.state === 'finished'} onClick=${() => job.start().catch(complain)}>${t('precheck.again')}</button>`}</div>
    <p class="dim">${t('precheck.text')}</p>
    ${refused && html`<p class="notice">${t('precheck.refused')}</p>`}
    <${PrecheckReport} view=${job.view} error=${job.error} /></section>`;
}

function Facts({task}) {
  return html`<p class="facts dim">${place(task.source)} → ${place(task.target)} · ${t('task.since', {time: time(task.since)})}${task.restarts > 0 ? ` · ${t('task.restarts', {count: task.restarts})}` : ''}</p>`;
}

export function Task({id, tab}) {
  const {task, status, revision, error, reload} = useTask(id);
  useTitle(task && `${task.name}: ${word('state', task.state)}`);
  if (!task) return html`<a class="back" href="#/"><${Icon} name="back" />${t('nav.tasks')}</a>${error ? html`<${Trouble} error=${error} />` : html`<${Waiting} />`}`;
  const chosen = tabs.includes(tab) ? tab : 'overview';
  return html`<a class="back" href="#/"><${Icon} name="back" />${t('nav.tasks')}</a>
    <div class="bar"><div class="title"><h1>${task.name}</h1><${State} state=${task.state} colour=${tone(task.state) === 'good' && task.worker && status?.links.some(needsLook) ? 'warn' : null} />
      ${task.job && html`<span class="job">${word('job', task.job.kind)}</span>`}</div>
      <${Actions} task=${task} status=${status} onDone=${reload} /></div>
    <p class="hidden" role="status" id="said">${task.name}: ${word('state', task.state)}</p>
    <${Facts} task=${task} />
    <${Trouble} error=${error} />
    <${Failure} task=${task} />
    <nav class="tabs" aria-label=${t('task.tabs')}>${tabs.map((name) => html`<a key=${name} href=${`#/tasks/${id}/${name}`} aria-current=${name === chosen ? 'page' : null}>${t(`tab.${name}`)}</a>`)}</nav>
    ${chosen === 'overview' && html`<${Overview} task=${task} status=${status} reload=${reload} />`}
    ${chosen === 'precheck' && html`<${Precheck} task=${task} />`}
    ${chosen === 'verify' && html`<${Verify} task=${task} />`}
    ${chosen === 'events' && html`<${Events} id=${id} revision=${revision} />`}
    ${chosen === 'log' && html`<${Log} task=${task} />`}
    ${chosen === 'document' && html`<${Sheet} task=${task} />`}`;
}
