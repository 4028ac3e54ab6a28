// The wizard's last step: the document is stored, looked at by the precheck in a dialog, and the task started.
import {html, useState} from '../ui.js';
import {t} from '../words.js';
import {post, taskPath} from '../api.js';
import {read, write} from '../document.js';
import {fresh, keep} from '../draft.js';
import {limit, place} from '../format.js';
import {useJob} from './job.js';
import {limitsOf} from './filters.js';
import {Dialog} from './dialog.js';
import {Icon} from './icon.js';
import {PrecheckReport} from './precheck.js';
import {Trouble, say} from './toast.js';

function limitText(document) {
  const {records, mebibytes} = limitsOf(document);
  return limit({limit: {records_per_second: records, bytes_per_second: mebibytes * 1048576}});
}

function Summary({document}) {
  const databases = document.source?.databases;
  const rules = [].concat(read(document, 'filter.allow') ?? []).length + [].concat(read(document, 'filter.block') ?? []).length;
  const row = (label, text) => html`<div><dt>${label}</dt><dd>${text}</dd></div>`;
  return html`<dl class="summary">
    ${row(t('side.name'), document.name)}
    ${row(t('side.source'), place(document.source))}
    ${row(t('side.target'), place(document.target))}
    ${row(t('step.databases'), databases === undefined ? t('databases.all') : [].concat(databases).join(', '))}
    ${row(t('limit.title'), limitText(document))}
    ${row(t('filter.rules'), rules ? t('filter.count', {count: rules}) : t('filter.none'))}
    ${row(t('advanced.snapshot'), document.snapshot === false ? t('no') : t('yes'))}
    ${row(t('advanced.existing'), t(`existing.${document.target?.existing ?? 'fail'}`))}
  </dl>`;
}

// names of precheck.waive, with one more or less.
function waived(document, name, on) {
  const names = [].concat(read(document, 'precheck.waive') ?? []).filter((one) => one !== name);
  return write(document, 'precheck.waive', on ? [...names, name] : names);
}

// work: the draft. save: stores a document, and returns the task's id. editing: the state of a task that is there already, or null.
export function Launch({work, save, edit, editing}) {
  const job = useJob(work.id, 'precheck');
  const [error, setError] = useState(null);
  const [accept, setAccept] = useState(false);
  const [busy, setBusy] = useState(false);
  const [open, setOpen] = useState(false);
  const guarded = (run) => async (...given) => {
    setBusy(true);
    setError(null);
    try {
      await run(...given);
    } catch (problem) {
      setError(problem);
      setOpen(false);
    }
    setBusy(false);
  };
  const check = guarded(async (document = work.document) => {
    const id = await save(document, accept);
    setOpen(true);
    await job.start(undefined, id);
  });
  const leave = (id) => {
    keep(fresh());
    location.hash = `#/tasks/${id}`;
  };
  const start = guarded(async () => {
    const id = await save(work.document, accept);
    await post(taskPath(id, editing === 'paused' ? '/resume' : '/start'));
    say(t('done.start', {name: work.document.name}));
    leave(id);
  });
  const store = guarded(async () => leave(await save(work.document, accept)));
  const waive = (name, on) => {
    const next = waived(work.document, name, on);
    edit(next);
    check(next);
  };
  const running = Boolean(job.view?.running);
  const report = work.saved === JSON.stringify(work.document) && !running ? job.view?.result?.result : null;
  return html`<div class="card"><h2>${t('wizard.summary')}</h2><${Summary} document=${work.document} /></div>
    <div class="card"><h2>${t('precheck.title')}</h2><p class="dim">${t('precheck.text')}</p>
      ${editing && html`<label class="check-line"><input type="checkbox" id="accept" checked=${accept} onChange=${(event) => setAccept(event.target.checked)} /> ${t('wizard.accept')}</label>`}
      <${Trouble} error=${error} />
      ${report && html`<p class=${`verdict ${report.passed ? 'good' : 'bad'}`}><${Icon} name=${report.passed ? 'check' : 'cross'} /><b>${report.passed ? t('check.ok') : t('check.not_ok')}</b>
        <button class="link" id="show-report" onClick=${() => setOpen(true)}>${t('check.show')}</button></p>`}
      <div class="buttons">
        <button id="check" class="primary" disabled=${busy || running} onClick=${() => check()}><${Icon} name="play" />${t('precheck.run')}</button>
        <button id="store" disabled=${busy || running} onClick=${store}>${t('wizard.store')}</button>
      </div>
      <p class="hint">${t('wizard.start_when')}</p></div>
    ${open && html`<${Dialog} title=${t('precheck.title')} wide=${true} onClose=${() => setOpen(false)}>
      <div class="dialog-body"><${PrecheckReport} view=${job.view} error=${job.error} waive=${busy || running ? null : waive} /></div>
      <div class="buttons end"><button onClick=${() => setOpen(false)}>${t('close')}</button>
        <button id="check-again" disabled=${busy || running} onClick=${() => check()}>${t('precheck.again')}</button>
        <button id="start" class="primary" disabled=${busy || !report?.passed} onClick=${start}><${Icon} name="play" />${t('wizard.start')}</button></div><//>`}`;
}
