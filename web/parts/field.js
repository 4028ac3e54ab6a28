// Fields of forms, with their labels and hints.
import {html} from '../ui.js';

export const idOf = (path) => `f-${path.replace(/\W/g, '-')}`;

export function Field({path, label, hint, wide, children}) {
  const id = idOf(path);
  return html`<div class=${`field ${wide ? 'wide-field' : ''}`}><label for=${id}>${label}</label>${children}${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}</div>`;
}

export function Text({path, label, hint, value, change, type = 'text', placeholder, rows, required, wide}) {
  const shared = {id: idOf(path), 'aria-describedby': hint ? `${idOf(path)}-hint` : null, placeholder, required, spellcheck: false, value: value ?? '', onInput: (event) => change(event.target.value)};
  return html`<${Field} path=${path} label=${label} hint=${hint} wide=${wide}>
    ${rows ? html`<textarea ...${shared} rows=${rows}></textarea>` : html`<input ...${shared} type=${type} autocomplete=${type === 'password' ? 'new-password' : 'off'} />`}<//>`;
}

// choices: [[value, text]]
export function Choice({path, label, hint, value, change, choices}) {
  return html`<${Field} path=${path} label=${label} hint=${hint}>
    <select id=${idOf(path)} aria-describedby=${hint ? `${idOf(path)}-hint` : null} value=${value} onChange=${(event) => change(event.target.value)}>
      ${choices.map(([name, text]) => html`<option value=${name}>${text}</option>`)}</select><//>`;
}
