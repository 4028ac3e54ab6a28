// A task is made, or its document changed, step by step as the guide goes: both sides, databases, speed and filters, advanced settings, precheck and start.
import {html, useEffect, useRef, useState} from '../ui.js';
import {t} from '../words.js';
import {call, get, post, session, taskPath} from '../api.js';
import {write, yaml} from '../document.js';
import {place} from '../format.js';
import {Advanced} from '../parts/advanced.js';
import {Databases} from '../parts/databases.js';
import {Dialog} from '../parts/dialog.js';
import {Filters} from '../parts/filters.js';
import {Icon} from '../parts/icon.js';
import {useJob} from '../parts/job.js';
import {download} from '../parts/logs.js';
import {PrecheckReport} from '../parts/precheck.js';
import {Sides, isFile} from '../parts/sides.js';
import {Trouble, say} from '../parts/toast.js';

const steps = ['sides', 'databases', 'filters', 'advanced', 'precheck'];

// What was begun stays while one looks elsewhere in the page, or changes its language. saved: the document as it was last stored, as text.
const fresh = () => ({document: {}, step: 0, id: null, revision: 0, saved: null});
let kept = fresh();
// With what somebody typed, secrets too, it ends with his session.
session.watch((me) => {
  if (!me) kept = fresh();
});

// save: an async function of the YAML text. The document goes to the daemon as it is: what comes back from there has no secrets.
function Import({save, onClose}) {
  const [text, setText] = useState('');
  const [error, setError] = useState(null);
  const check = async () => {
    try {
      await save(text);
      onClose();
    } catch (problem) {
      setError(problem);
    }
  };
  return html`<${Dialog} title=${t('import.title')} wide=${true} onClose=${onClose}>
    <p class="dim">${t('import.text')}</p>
    <label for="import-file">${t('import.file')}</label>
    <input id="import-file" type="file" accept=".yaml,.yml,.json" onChange=${async (event) => event.target.files[0] && setText(await event.target.files[0].text())} />
    <label for="import-text">${t('import.paste')}</label>
    <textarea id="import-text" class="code" rows="14" spellcheck="false" value=${text} onInput=${(event) => setText(event.target.value)}></textarea>
    <${Trouble} error=${error} />
    <div class="buttons end"><button onClick=${onClose}>${t('cancel')}</button><button class="primary" id="import-take" disabled=${!text.trim()} onClick=${check}>${t('import.take')}</button></div>
  <//>`;
}

function Summary({document}) {
  const databases = document.source?.databases;
  return html`<dl class="summary">
    <div><dt>${t('side.name')}</dt><dd>${document.name}</dd></div>
    <div><dt>${t('side.source')}</dt><dd>${place(document.source)}</dd></div>
    <div><dt>${t('side.target')}</dt><dd>${place(document.target)}</dd></div>
    <div><dt>${t('step.databases')}</dt><dd>${databases === undefined ? t('databases.all') : [].concat(databases).join(', ')}</dd></div>
    <div><dt>${t('advanced.snapshot')}</dt><dd>${document.snapshot === false ? t('no') : t('yes')}</dd></div>
    <div><dt>${t('advanced.existing')}</dt><dd>${t(`existing.${document.target?.existing ?? 'fail'}`)}</dd></div>
  </dl>`;
}

// The last step: stores the document, runs the precheck, starts the task.
function Precheck({work, save, editing}) {
  const job = useJob(work.id, 'precheck');
  const [error, setError] = useState(null);
  const [accept, setAccept] = useState(false);
  const [busy, setBusy] = useState(false);
  const guarded = (run) => async () => {
    setBusy(true);
    setError(null);
    try {
      await run();
    } catch (problem) {
      setError(problem);
    }
    setBusy(false);
  };
  const stored = work.saved === JSON.stringify(work.document);
  const check = guarded(async () => {
    const id = await save(accept);
    await job.start(undefined, id);
  });
  const start = guarded(async () => {
    const id = await save(accept);
    await post(taskPath(id, editing === 'paused' ? '/resume' : '/start'));
    say(t('done.start', {name: work.document.name}));
    kept = fresh();
    location.hash = `#/tasks/${id}`;
  });
  const store = guarded(async () => {
    const id = await save(accept);
    kept = fresh();
    location.hash = `#/tasks/${id}`;
  });
  const report = stored ? job.view?.result?.result : null;
  return html`<div class="card"><h2>${t('wizard.summary')}</h2><${Summary} document=${work.document} /></div>
    <div class="card"><h2>${t('precheck.title')}</h2><p class="dim">${t('precheck.text')}</p>
      ${editing && html`<label class="check-line"><input type="checkbox" id="accept" checked=${accept} onChange=${(event) => setAccept(event.target.checked)} /> ${t('wizard.accept')}</label>`}
      <${Trouble} error=${error} />
      ${stored && work.id && html`<${PrecheckReport} view=${job.view} error=${job.error} />`}
      <div class="buttons">
        <button id="check" class=${report?.passed ? '' : 'primary'} disabled=${busy || Boolean(job.view?.running)} onClick=${check}>${report ? t('precheck.again') : t('precheck.run')}</button>
        <button id="start" class=${report?.passed ? 'primary' : ''} disabled=${busy || !report?.passed || Boolean(job.view?.running)} onClick=${start}><${Icon} name="play" />${t('wizard.start')}</button>
        <button id="store" disabled=${busy || Boolean(job.view?.running)} onClick=${store}>${t('wizard.store')}</button>
      </div>
      ${!report?.passed && html`<p class="hint">${t('wizard.start_when')}</p>`}
    </div>`;
}

// Of a task that is stored.
const taken = (task) => ({document: task.document, step: 0, id: task.id, revision: task.revision, saved: JSON.stringify(task.document), state: task.state});

// What keeps a step from being left: a key of the texts, or null.
function lacks(step, document) {
  if (step !== 0) return null;
  if (!/^[\w.-]{1,100}$/.test(document.name ?? '')) return 'wizard.lacks_name';
  const isPlaced = (side = {}) => Boolean(isFile(side) ? side.path : [].concat(side.address ?? []).some(Boolean));
  return isPlaced(document.source) ? (isPlaced(document.target) ? null : 'wizard.lacks_target') : 'wizard.lacks_source';
}

// Without what was begun and left empty: a rule of an empty prefix would mean every key.
const isRule = (rule) => typeof rule === 'object' && Object.values(rule).some((value) => value !== '');

const tidied = (document) => {
  const copy = JSON.parse(JSON.stringify(document));
  for (const side of [copy.source, copy.target]) if (Array.isArray(side?.address)) side.address = side.address.filter(Boolean);
  for (const list of ['allow', 'block']) if (copy.filter?.[list]) copy.filter[list] = [].concat(copy.filter[list]).filter(isRule);
  return ['allow', 'block'].reduce((made, list) => (made.filter?.[list] ? write(made, `filter.${list}`, made.filter[list]) : made), copy);
};

export function Wizard({id}) {
  const [work, setWork] = useState(id ? null : kept);
  const [error, setError] = useState(null);
  const [importing, setImporting] = useState(false);
  const title = useRef();
  useEffect(() => {
    if (id) get(taskPath(id)).then((task) => setWork(taken(task)), setError);
  }, [id]);
  const change = (next) => setWork((old) => {
    const made = {...old, ...next};
    if (!id) kept = made;
    return made;
  });
  if (!work) return html`<${Trouble} error=${error} />`;
  const {document, step} = work;
  const edit = (next) => change({document: next});
  const go = (to) => {
    const missing = to > step && lacks(step, document);
    if (missing) {
      setError(new Error(t(missing)));
      return;
    }
    setError(null);
    change({step: to, document: tidied(document)});
    requestAnimationFrame(() => title.current?.focus());
  };
  const importYaml = async (text) => {
    if (work.id) {
      setWork(taken(await call('PUT', taskPath(work.id, '/document'), {yaml: text, headers: {'If-Match': `"${work.revision}"`}})));
      return;
    }
    const task = await call('POST', '/tasks', {yaml: text});
    kept = fresh();
    location.hash = `#/tasks/${task.id}/edit`;
  };
  const save = async (accept) => {
    const clean = tidied(document);
    if (work.saved === JSON.stringify(clean)) return work.id;
    const task = work.id ? await call('PUT', taskPath(work.id, `/document${accept ? '?accept_changes=true' : ''}`), {body: clean, headers: {'If-Match': `"${work.revision}"`}}) : await post('/tasks', clean);
    change({id: task.id, revision: task.revision, document: clean, saved: JSON.stringify(clean)});
    return task.id;
  };
  return html`<a class="back" href=${id ? `#/tasks/${id}` : '#/'}><${Icon} name="back" />${id ? document.name : t('nav.tasks')}</a>
    <div class="bar"><h1>${id ? t('wizard.edit', {name: document.name}) : t('wizard.title')}</h1>
      <div class="buttons">${!id && (work.id || Object.keys(document).length > 0) && html`<button id="anew" onClick=${() => change(fresh())}>${t('wizard.anew')}</button>`}
        <button id="import" onClick=${() => setImporting(true)}>${t('import.action')}</button>
        <button id="export" onClick=${() => download(`${document.name || 'task'}.yaml`, yaml(tidied(document)), 'application/yaml')}>${t('document.export')}</button></div></div>
    <ol class="steps" aria-label=${t('wizard.steps')}>${steps.map((name, number) => html`<li key=${name}><button aria-current=${number === step ? 'step' : null} class=${number < step ? 'done' : ''} disabled=${number > step && Boolean(lacks(0, document))}
      onClick=${() => go(number)}><span class="step-number">${number + 1}</span>${t(`step.${name}`)}</button></li>`)}</ol>
    <h2 class="step-title" tabindex="-1" ref=${title}>${t('wizard.step', {number: step + 1, all: steps.length, name: t(`step.${steps[step]}`)})}</h2>
    <p class="dim">${t(`step.${steps[step]}_text`)}</p>
    ${steps[step] === 'sides' && html`<${Sides} document=${document} change=${edit} named=${Boolean(id || work.id)} />`}
    ${steps[step] === 'databases' && html`<${Databases} document=${document} change=${edit} task=${work.id} />`}
    ${steps[step] === 'filters' && html`<${Filters} document=${document} change=${edit} />`}
    ${steps[step] === 'advanced' && html`<${Advanced} document=${document} change=${edit} />`}
    ${steps[step] === 'precheck' && html`<${Precheck} work=${work} save=${save} editing=${id ? work.state : null} />`}
    <${Trouble} error=${error} />
    <div class="buttons between">
      <button id="back" disabled=${step === 0} onClick=${() => go(step - 1)}>${t('wizard.back')}</button>
      ${step < steps.length - 1 && html`<button class="primary" id="next" onClick=${() => go(step + 1)}>${t('wizard.next')}</button>`}
    </div>
    ${importing && html`<${Import} save=${importYaml} onClose=${() => setImporting(false)} />`}`;
}
