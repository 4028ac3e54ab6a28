// A task is made, or its document changed, step by step as the guide goes: both sides, databases, speed and filters, advanced settings, precheck and start.
import {html, useEffect, useLayoutEffect, useRef, useState, useTitle} from '../ui.js';
import {t} from '../words.js';
import {call, get, post, taskPath} from '../api.js';
import {checked, edited, firstStepWrongs, freeName, isTaken, takenWrong, tell, useLiveCheck} from '../check.js';
import {write, yaml} from '../document.js';
import {download} from '../download.js';
import {begun, fresh, keep, lacks, stepOf, steps, suggestedName, taken, tidied} from '../draft.js';
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

// What keeps the first step from being left: {path: wrong}, or null. A name is asked for again: somebody else may have taken it.
async function firstWrongs(draft, stored) {
  const found = firstStepWrongs(draft);
  if (found || stored || !(await isTaken(draft.name))) return found;
  tell('name', takenWrong(draft.name));
  return wrongs.get();
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
  useLiveCheck(work);
  const change = (next) => setWork((old) => {
    const made = {...old, ...next};
    if (!id) keep(made);
    return made;
  });
  if (!work) return html`<${Trouble} error=${error} />`;
  const {document, step} = work;
  const edit = (next) => {
    // A name that was made of the addresses goes with them.
    const drop = !work.id && work.made && next.name === work.made && suggestedName(next) !== suggestedName(document);
    change({document: drop ? write(next, 'name', undefined) : next});
    edited(document, next);
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
    setBusy(true);
    try {
      if (!draft.name && suggestedName(draft)) {
        draft.name = await freeName(suggestedName(draft));
        change({made: draft.name});
      }
      const found = (await firstWrongs(draft, work.id)) ?? (await checked({id: work.id, document: draft}, to - 1));
      if (found) change({document: draft, step: Math.min(...Object.keys(found).map(stepOf))});
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
    const request = work.id ? call('PUT', taskPath(work.id, `/document${accept ? '?accept_changes=true' : ''}`), {body: clean, headers: {'If-Match': `"${work.revision}"`}}) : post('/tasks', clean);
    const task = await request.catch((problem) => {
      // Taken since it was looked for: told where it is mended.
      if (problem.type === 'exists') {
        show(0, clean);
        mark({name: {text: t(...takenWrong(clean.name))}});
      }
      throw problem;
    });
    change({id: task.id, revision: task.revision, document: clean, saved: JSON.stringify(clean)});
    return task.id;
  };
  return html`<a class="back" href=${id ? `#/tasks/${id}` : '#/'}><${Icon} name="back" />${id ? document.name : t('nav.tasks')}</a>
    <div class="bar"><h1>${id ? t('wizard.edit', {name: document.name}) : t('wizard.title')}</h1>
      <div class="buttons">${!id && (work.id || Object.keys(document).length > 0) && html`<button id="anew" onClick=${() => change(fresh())}>${t('wizard.anew')}</button>`}
        <button id="import" onClick=${() => setImporting(true)}>${t('import.action')}</button>
        <button id="export" onClick=${() => download(`${document.name || 'task'}.yaml`, yaml(tidied(document)), 'application/yaml')}>${t('document.export')}</button></div></div>
    <ol class="steps" aria-label=${t('wizard.steps')}>${steps.map((name, number) => html`<li key=${name}><button aria-current=${number === step ? 'step' : null} class=${number < step ? 'done' : ''} disabled=${busy || (number > step && Object.keys(lacks({...document, name: document.name || suggestedName(document)})).length > 0)}
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
    ${importing && html`<${Import} save=${importYaml} task=${work.id ? {id: work.id, name: document.name} : null} onClose=${() => setImporting(false)} />`}`;
}
