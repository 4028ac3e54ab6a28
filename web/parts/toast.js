// What was done, or could not be, told for a while at the edge of the page, and to screen readers.
import {html, signal, useSignal} from '../ui.js';
import {t, word} from '../words.js';
import {Problem} from '../api.js';
import {Original, Said} from './said.js';

const toasts = signal([]);
let numbers = 0;

// title: in the page's language; said: of the daemon, as {text, hint}.
function put(kind, title, said) {
  const toast = {id: ++numbers, kind, title, said};
  toasts.set([...toasts.get().slice(-3), toast]);
  setTimeout(() => drop(toast.id), kind === 'bad' ? 15000 : 5000);
}

const drop = (id) => toasts.set(toasts.get().filter((toast) => toast.id !== id));

export const say = (text) => put('good', text);

// Of an error that a call threw: what kind of problem it is, in the page's language, and what the daemon says of it.
export function explain(error) {
  if (!(error instanceof Problem)) return {text: error.message};
  if (error.status === 0) return {text: t('error.unreachable')};
  const title = word('problem', error.type ?? '');
  return title === error.type || !title ? {text: error.message} : {title, text: error.told};
}

export function complain(error) {
  const {title, text} = explain(error);
  put('bad', title, {text, hint: error.hint});
}

export function Toasts() {
  const shown = useSignal(toasts);
  return html`<div class="toasts" role="status" aria-live="polite">
    ${shown.map((toast) => html`<div key=${toast.id} class=${`toast ${toast.kind}`}>
      <div><p>${toast.title} ${toast.said?.text && html`<${Said} text=${toast.said.text} />`}</p>${toast.said?.hint && html`<p class="hint"><${Said} text=${toast.said.hint} /></p>`}</div>
      <button class="quiet icon-only" aria-label=${t('close')} onClick=${() => drop(toast.id)}>×</button>
    </div>`)}
  </div>`;
}

// A problem where it arose, for as long as it lasts.
export function Trouble({error}) {
  if (!error) return null;
  const {title, text} = explain(error);
  // Places that say the same as the whole are not said twice.
  const places = (error.errors ?? []).filter((one) => one.detail !== text);
  const detail = ({option, detail: told}) => html`<li>${option && html`<code>${option}</code>`} <${Said} text=${told} /></li>`;
  return html`<div class="trouble" role="alert"><p>${title && html`<b>${title}</b> `}<${Said} text=${text} /></p>${error.hint && html`<p class="hint"><${Said} text=${error.hint} /></p>`}
    ${places.length > 0 && html`<ul>${places.map(detail)}</ul>`}<${Original} texts=${[error.told, error.hint]} /></div>`;
}

// Before the first answer is there; one that comes at once is not announced.
export function Waiting() {
  return html`<p class="waiting late" role="status"><span class="spinner" aria-hidden="true"></span>${t('loading')}</p>`;
}
