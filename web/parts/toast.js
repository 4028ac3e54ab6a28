// What was done, or could not be, told for a while at the edge of the page, and to screen readers.
import {html, signal, useSignal} from '../ui.js';
import {t} from '../words.js';
import {Problem} from '../api.js';

const toasts = signal([]);
let numbers = 0;

function put(kind, text, hint) {
  const toast = {id: ++numbers, kind, text, hint};
  toasts.set([...toasts.get().slice(-3), toast]);
  setTimeout(() => drop(toast.id), kind === 'bad' ? 15000 : 5000);
}

const drop = (id) => toasts.set(toasts.get().filter((toast) => toast.id !== id));

export const say = (text) => put('good', text);

// Of an error that a call threw.
export function explain(error) {
  return error instanceof Problem && error.status === 0 ? t('error.unreachable') : error.message;
}

export const complain = (error) => put('bad', explain(error), error.hint);

export function Toasts() {
  const shown = useSignal(toasts);
  return html`<div class="toasts" role="status" aria-live="polite">
    ${shown.map((toast) => html`<div key=${toast.id} class=${`toast ${toast.kind}`}>
      <div><p>${toast.text}</p>${toast.hint && html`<p class="hint">${toast.hint}</p>`}</div>
      <button class="quiet icon-only" aria-label=${t('close')} onClick=${() => drop(toast.id)}>×</button>
    </div>`)}
  </div>`;
}

// A problem where it arose, for as long as it lasts.
export function Trouble({error}) {
  if (!error) return null;
  return html`<div class="trouble" role="alert"><p>${explain(error)}</p>${error.hint && html`<p class="hint">${error.hint}</p>`}
    ${(error.errors ?? []).length > 0 && html`<ul>${error.errors.map((one) => html`<li>${one.option && html`<code>${one.option}</code>`} ${one.detail}</li>`)}</ul>`}</div>`;
}
