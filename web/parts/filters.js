// The link's size and the rules of what is copied: a rule of one condition as a field, others as JSON.
import {html} from '../ui.js';
import {t} from '../words.js';
import {parse, read, show, write} from '../document.js';
import {Wrong} from './field.js';
import {LimitFields, sizes} from './limits.js';

const kinds = ['prefix', 'glob', 'regex', 'key', 'type', 'command', 'group', 'slot', 'database'];
const units = {B: 1, KiB: 1024, MiB: 1048576, GiB: 1073741824, TiB: 1099511627776, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12};

function bytesOf(value) {
  const [, count, unit] = /^(\d+)\s*([A-Za-z]*)$/.exec(String(value ?? 0)) ?? [];
  return Number(count ?? 0) * (units[unit] ?? 1);
}

// Of a document: {records, mebibytes}.
export function limitsOf(document) {
  const limit = document.limit ?? {};
  const records = limit.records_per_second ?? limit.spec;
  return {records: sizes[records] ?? (Number(records) || 0), mebibytes: Math.round(bytesOf(limit.bytes_per_second) / 1048576 * 1000) / 1000};
}

export function withLimits(document, records, mebibytes) {
  const next = write(document, 'limit', undefined);
  const limited = records ? write(next, 'limit.records_per_second', records) : next;
  return mebibytes ? write(limited, 'limit.bytes_per_second', Math.round(mebibytes * 1048576)) : limited;
}

const kindOf = (rule) => (typeof rule === 'object' && Object.keys(rule).length === 1 && kinds.includes(Object.keys(rule)[0]) ? Object.keys(rule)[0] : 'json');

function tryParse(text, structured) {
  try {
    return parse(text, structured);
  } catch {
    return text;
  }
}

function Rule({rule, number, list, change, drop}) {
  const kind = kindOf(rule);
  const name = `${list}-${number}`;
  // Prefixes and patterns are texts, whatever they look like.
  const valueOf = (one, text) => (['slot', 'database', 'type', 'command', 'group'].includes(one) ? tryParse(text, true) : text);
  return html`<li class="rule">
    <select id=${`${name}-kind`} aria-label=${t('rule.kind')} value=${kind} onChange=${(event) => change(event.target.value === 'json' ? {...rule, database: 0} : {[event.target.value]: ''})}>
      ${kinds.map((one) => html`<option value=${one}>${t(`rule.${one}`)}</option>`)}<option value="json">${t('rule.json')}</option></select>
    <input id=${name} aria-label=${t('rule.value')} spellcheck="false" value=${kind === 'json' ? show(rule) : show(rule[kind])}
      onChange=${(event) => change(kind === 'json' ? tryParse(event.target.value, true) : {[kind]: valueOf(kind, event.target.value)})} />
    <button class="quiet icon-only" aria-label=${t('rule.drop')} onClick=${drop}>×</button></li>`;
}

function Rules({list, document, change}) {
  const path = `filter.${list}`;
  const rules = [].concat(read(document, path) ?? []);
  const set = (next) => change(write(document, path, next));
  return html`<fieldset class="card"><legend>${t(`filter.${list}`)}</legend><p class="dim small">${t(`filter.${list}_text`)}</p><${Wrong} path=${path} />
    <ul class="rules">${rules.map((rule, number) => html`<${Rule} key=${number} rule=${rule} number=${number} list=${list} change=${(next) => set(rules.map((old, at) => (at === number ? next : old)))}
      drop=${() => set(rules.filter((_, at) => at !== number))} />`)}</ul>
    <button id=${`add-${list}`} onClick=${() => set([...rules, {prefix: ''}])}>${t('rule.add')}</button></fieldset>`;
}

export function Filters({document, change}) {
  const {records, mebibytes} = limitsOf(document);
  return html`<fieldset class="card"><legend>${t('limit.title')}</legend><p class="dim small">${t('limit.hint')}</p><${Wrong} path="limit" />
      <${LimitFields} records=${records} mebibytes=${mebibytes} change=${(a, b) => change(withLimits(document, a, b))} /></fieldset>
    <div class="two"><${Rules} list="allow" document=${document} change=${change} /><${Rules} list="block" document=${document} change=${change} /></div>`;
}
