// The report of a precheck: each item with its result, and for what is not well the cause and what mends it.
import {html, useState} from '../ui.js';
import {t, word} from '../words.js';
import {time} from '../format.js';
import {Fault} from './fault.js';
import {Icon} from './icon.js';
import {Original, Said} from './said.js';
import {Trouble} from './toast.js';

const icons = {passed: 'check', warning: 'warn', failed: 'cross', skipped: 'skip'};
const ranks = {failed: 0, warning: 1, skipped: 2, passed: 3};

// waive: a function of an item's name and whether it is to be waived, or null.
function Item({item, waive}) {
  const result = item.waived ? 'waived' : item.result;
  return html`<li class=${`check ${result}`}>
    <span class="check-icon"><${Icon} name=${icons[item.result] ?? 'skip'} /></span>
    <div class="check-body">
      <div class="check-line"><b>${word('item', item.item)}</b><span class="check-result">${word('check', result)}</span>
        <span class="dim small">${word('side', item.side)}${item.node ? ` · ${item.node}` : ''}${item.measured ? ` · ${item.measured}` : ''}</span></div>
      ${item.cause && html`<p class="cause"><${Said} text=${item.cause} /></p>`}
      ${item.remedy && html`<p class="remedy"><span class="tag">${t('check.remedy')}</span> <${Said} text=${item.remedy} /></p>`}
      <${Original} texts=${[item.cause, item.remedy]} />
      ${waive && item.waivable && (item.waived || item.result === 'failed' || item.result === 'warning') && html`<p><button class="small-button" id=${`waive-${item.item}`} onClick=${() => waive(item.item, !item.waived)}>
        ${item.waived ? t('check.unwaive') : t('check.waive')}</button> ${!item.waived && html`<span class="dim small">${t('check.waive_text')}</span>`}</p>`}
    </div></li>`;
}

export function PrecheckReport({view, error, waive}) {
  const [all, setAll] = useState(false);
  if (error) return html`<${Trouble} error=${error} />`;
  if (!view) return null;
  if (view.running) return html`<p class="waiting" role="status"><span class="spinner" aria-hidden="true"></span>${t('check.running')}</p>`;
  const result = view.result;
  if (!result) return html`<p class="dim">${t('check.never')}</p>`;
  const report = result.result;
  if (!report?.items) return html`<div class="trouble" role="alert">${result.error ? html`<${Fault} fault=${result.error} />` : html`<p>${t('check.broken')}</p>`}</div>`;
  const items = [...report.items].sort((a, b) => ranks[a.result] - ranks[b.result]);
  const shown = all ? items : items.filter((item) => item.result !== 'passed');
  return html`<div class="report">
    <p class=${`verdict ${report.passed ? 'good' : 'bad'}`} role="status" id="verdict"><${Icon} name=${report.passed ? 'check' : 'cross'} /><b>${report.passed ? t('check.ok') : t('check.not_ok')}</b>
      <span class="dim small">${t('check.counts', report.counts)} · ${time(result.time)}</span></p>
    <ul class="checks">${shown.map((item, at) => html`<${Item} key=${at} item=${item} waive=${waive} />`)}</ul>
    ${report.counts.passed > 0 && html`<button class="quiet" onClick=${() => setAll(!all)}>${all ? t('check.hide_passed') : t('check.show_passed', {count: report.counts.passed})}</button>`}
  </div>`;
}
