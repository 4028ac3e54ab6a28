// The cause of a failure: what kind it is, what happened, and what to do.
import {html} from '../ui.js';
import {t, word} from '../words.js';
import {Original, Said} from './said.js';

export const titleOf = (fault) => (fault.kind ? word('fault', fault.kind) : '');

// lead: what stands before it.
export function Fault({fault, lead}) {
  return html`<p>${lead && html`<b>${lead}</b> `}<b>${t('fault.is', {kind: titleOf(fault)})}</b> <${Said} text=${fault.text} /></p>
    ${fault.hint && html`<p class="hint">${t('task.mend')} <${Said} text=${fault.hint} /></p>`}<${Original} texts=${[fault.text, fault.hint]} />`;
}
