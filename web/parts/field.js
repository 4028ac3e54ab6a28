// Fields of forms, with their labels and hints, and what the daemon says is wrong with them.
import {html, signal, useSignal} from '../ui.js';
import {Said} from './said.js';

export const idOf = (path) => `f-${path.replace(/\W/g, '-')}`;

// {path of an option: what is wrong}; the wizard sets it. What is wrong: {text, told: in the daemon's words}.
export const wrongs = signal({});

// Of the option, or of what is within it: 'source.address[0]' is told at 'source.address'.
export function useWrong(path) {
  const all = useSignal(wrongs);
  const at = Object.keys(all).find((option) => option === path || option.startsWith(`${path}.`) || option.startsWith(`${path}[`));
  return at && all[at];
}

export function Wrong({path}) {
  const wrong = useWrong(path);
  return wrong ? html`<p class="wrong" role="alert" id=${`${idOf(path)}-wrong`}>${wrong.told ? html`<${Said} text=${wrong.text} />` : wrong.text}</p>` : null;
}

const describedBy = (path, hint, wrong) => [hint && `${idOf(path)}-hint`, wrong && `${idOf(path)}-wrong`].filter(Boolean).join(' ') || null;

// For the element of a field: its id, and which texts belong to it.
export function useFieldProps(path, hint) {
  const wrong = useWrong(path);
  return {id: idOf(path), 'aria-describedby': describedBy(path, hint, wrong), 'aria-invalid': wrong ? true : null};
}

export function Field({path, label, hint, wide, children}) {
  const id = idOf(path);
  return html`<div class=${`field ${wide ? 'wide-field' : ''}`}><label for=${id}>${label}</label>${children}<${Wrong} path=${path} />${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}</div>`;
}

// left: called with what stands in it when the field was changed and is left. fixed: it can be read alone.
export function Text({path, label, hint, value, change, left, type = 'text', placeholder, rows, required, wide, fixed}) {
  const shared = {...useFieldProps(path, hint), placeholder, required, readOnly: fixed, spellcheck: false, value: value ?? '', onInput: (event) => change(event.target.value), onChange: left && ((event) => left(event.target.value))};
  return html`<${Field} path=${path} label=${label} hint=${hint} wide=${wide}>
    ${rows ? html`<textarea ...${shared} rows=${rows}></textarea>` : html`<input ...${shared} type=${type} autocomplete=${type === 'password' ? 'new-password' : 'off'} />`}<//>`;
}

// choices: [[value, text]]
export function Choice({path, label, hint, value, change, choices}) {
  return html`<${Field} path=${path} label=${label} hint=${hint}>
    <select ...${useFieldProps(path, hint)} value=${value} onChange=${(event) => change(event.target.value)}>
      ${choices.map(([name, text]) => html`<option value=${name}>${text}</option>`)}</select><//>`;
}
