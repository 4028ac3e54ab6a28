// A task is made, or its document changed, step by step as the guide goes: both sides, databases, speed and filters, advanced settings, precheck and start.
import {html, useEffect, useLayoutEffect, useRef, useState, useTitle} from '../ui.js';
import {t} from '../words.js';
import {call, get, post, taskPath} from '../api.js';
import {yaml} from '../document.js';
import {download} from '../download.js';
import {begun, fresh, keep, lacks, stepOf, steps, taken, tidied, wrongOptions} from '../draft.js';
import {Advanced} from '../parts/advanced.js';
import {Databases} from '../parts/databases.js';
import {wrongs} from '../parts/field.js';
import {Filters} from '../parts/filters.js';
import {Icon} from '../parts/icon.js';
import {Import} from '../parts/import.js';
import {Launch} from '../parts/launch.js';
import {Sides} from '../parts/sides.js';
import {Trouble} from '../parts/toast.js';

// Told at its field; null: all is well so far.
function mark(found) {
  wrongs.set(found ?? {});
  if (found) requestAnimationFrame(() => document.querySelector('#main [aria-invalid=true], #main .wrong')?.focus());
}

// What the daemon says of the document so far: {option: wrong} of what has been gone through up to `step`, or null. What it cannot place is thrown where it cannot be later than that.
async function checked(draft, step) {
  try {
    await call('POST', `/documents/check${draft.id ? `?secrets_of=${draft.id}` : ''}`, {body: draft.document});
    return null;
  } catch (problem) {
    if (problem.type !== 'document-invalid') throw problem;
    const found = wrongOptions(problem);
    const first = Math.min(...Object.keys(found).map(stepOf), steps.length);
    if (first <= step) return found;
    if (first === steps.length && step === steps.length - 2) throw problem;
    return null;
  }
}

export function Wizard({id}) {
  const [work, setWork] = useState(id ? null : begun());
  const [error, setError] = useState(null);
  const [importing, setImporting] = useState(false);
  const [busy, setBusy] = useState(false);
  const title = useRef();
  useTitle(id ? work && t('wizard.edit', {name: work.document.name}) : t('wizard.title'));
  useLayoutEffect(() => mark(null), [id]);
  useEffect(() => {
    if (id) get(taskPath(id)).then((task) => setWork(taken(task)), setError);
  }, [id]);
  const change = (next) => setWork((old) => {
    const made = {...old, ...next};
    if (!id) keep(made);
    return made;
  });
  if (!work) return html`<${Trouble} error=${error} />`;
  const {document, step} = work;
  const edit = (next) => {
    change({document: next});
    if (Object.keys(wrongs.get()).length) mark(null);
  };
  const show = (to, draft) => {
    change({step: to, document: draft});
    requestAnimationFrame(() => {
      window.document.querySelector('.steps [aria-current]')?.scrollIntoView({block: 'nearest', inline: 'center'});
      title.current?.focus();
    });
  };
  const go = async (to) => {
    const draft = tidied(document);
    setError(null);
    mark(null);
    if (to < step) return show(to, draft);
    const missing = Object.entries(lacks(draft)).map(([path, key]) => [path, {text: t(key)}]);
    if (missing.length) {
      change({step: 0});
      return mark(Object.fromEntries(missing));
    }
    setBusy(true);
    try {
      const found = await checked({id: work.id, document: draft}, to - 1);
      if (found) change({step: Math.min(...Object.keys(found).map(stepOf))});
      else show(to, draft);
      mark(found);
    } catch (problem) {
      setError(problem);
    }
    setBusy(false);
    return null;
  };
  const importYaml = async (text) => {
    if (work.id) {
      setWork(taken(await call('PUT', taskPath(work.id, '/document'), {yaml: text, headers: {'If-Match': `"${work.revision}"`}})));
      return;
    }
    const task = await call('POST', '/tasks', {yaml: text});
    keep(fresh());
    location.hash = `#/tasks/${task.id}/edit`;
  };
  const save = async (wanted, accept) => {
    const clean = tidied(wanted);
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
    <ol class="steps" aria-label=${t('wizard.steps')}>${steps.map((name, number) => html`<li key=${name}><button aria-current=${number === step ? 'step' : null} class=${number < step ? 'done' : ''} disabled=${busy || (number > step && Object.keys(lacks(document)).length > 0)}
      onClick=${() => number !== step && go(number)}><span class="step-number">${number + 1}</span>${t(`step.${name}`)}</button></li>`)}</ol>
    <h2 class="step-title" tabindex="-1" ref=${title}>${t('wizard.step', {number: step + 1, all: steps.length, name: t(`step.${steps[step]}`)})}</h2>
    <p class="dim">${t(`step.${steps[step]}_text`)}</p>
    ${steps[step] === 'sides' && html`<${Sides} document=${document} change=${edit} named=${Boolean(id || work.id)} />`}
    ${steps[step] === 'databases' && html`<${Databases} document=${document} change=${edit} task=${work.id} />`}
    ${steps[step] === 'filters' && html`<${Filters} document=${document} change=${edit} />`}
    ${steps[step] === 'advanced' && html`<${Advanced} document=${document} change=${edit} />`}
    ${steps[step] === 'precheck' && html`<${Launch} work=${work} save=${save} edit=${edit} editing=${id ? work.state : null} />`}
    <${Trouble} error=${error} />
    <div class="buttons between">
      <button id="back" disabled=${step === 0 || busy} onClick=${() => go(step - 1)}>${t('wizard.back')}</button>
      ${step < steps.length - 1 && html`<button class="primary" id="next" disabled=${busy} onClick=${() => go(step + 1)}>${t('wizard.next')}</button>`}
    </div>
    ${importing && html`<${Import} save=${importYaml} onClose=${() => setImporting(false)} />`}`;
}
