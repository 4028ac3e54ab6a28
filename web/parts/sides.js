// Source and target of a task: the first of the wizard's steps.
import {html} from '../ui.js';
import {t} from '../words.js';
import {read, write} from '../document.js';
import {tell} from '../check.js';
import {addressesMistake, isFile, suggestedName} from '../draft.js';
import {Choice, Text} from './field.js';

const modes = {source: ['auto', 'standalone', 'cluster', 'sentinel', 'scan', 'rdb', 'aof'], target: ['auto', 'standalone', 'cluster', 'sentinel', 'rdb', 'aof', 'jsonl']};

const addresses = (value) => [].concat(value ?? []).join('\n');
// Line by line or apart by commas; while one types, the empty last line stays.
const list = (text) => text.split(/[\s,]+/).filter((part, at, all) => part || (at === all.length - 1 && at > 0));

// TLS is off, on with the system's or given certificates, or on without a look at them.
function tlsOf(tls) {
  if (!tls) return 'off';
  return tls.insecure ? 'insecure' : 'on';
}

function Side({name, document, change}) {
  const side = document[name] ?? {};
  const set = (path) => (value) => change(write(document, `${name}.${path}`, value));
  const tls = (value) => change(write(document, `${name}.tls`, value === 'off' ? undefined : value === 'on' ? true : {insecure: true}));
  const mode = side.mode ?? 'auto';
  return html`<fieldset class="card"><legend>${t(`side.${name}`)}</legend>
    <div class="fields">
      <${Choice} path=${`${name}.mode`} label=${t('side.mode')} value=${mode} change=${(value) => set('mode')(value === 'auto' ? undefined : value)}
        choices=${modes[name].map((one) => [one, t(`mode.${one}`)])} />
      ${isFile(side) ? html`<${Text} path=${`${name}.path`} label=${t('side.path')} hint=${t(`side.path_hint_${name}`)} value=${side.path} change=${set('path')} wide=${true} />`
        : html`<${Text} path=${`${name}.address`} label=${mode === 'sentinel' ? t('side.sentinels') : t('side.address')} hint=${t('side.address_hint')} value=${addresses(side.address)} rows=${2} required=${true}
            placeholder="10.0.0.1:6379" wide=${true} change=${(text) => change(write(document, `${name}.address`, list(text)))} left=${(text) => tell(`${name}.address`, addressesMistake(list(text)))} />
          ${mode === 'sentinel' && html`<${Text} path=${`${name}.master`} label=${t('side.master')} value=${side.master} required=${true} change=${set('master')} />
            <${Text} path=${`${name}.sentinel.password`} label=${t('side.sentinel_password')} type="password" value=${read(document, `${name}.sentinel.password`)} change=${set('sentinel.password')} />`}
          <${Text} path=${`${name}.username`} label=${t('side.username')} placeholder="default" value=${side.username} change=${set('username')} />
          <${Text} path=${`${name}.password`} label=${t('side.password')} hint=${t('side.password_hint')} type="password" value=${side.password} change=${set('password')} />
          <${Choice} path=${`${name}.tls`} label=${t('side.tls')} value=${tlsOf(side.tls)} change=${tls} choices=${['off', 'on', 'insecure'].map((one) => [one, t(`tls.${one}`)])} />
          ${tlsOf(side.tls) === 'on' && html`<${Text} path=${`${name}.tls.ca`} label=${t('side.ca')} placeholder="/etc/keyferry/ca.pem" value=${read(document, `${name}.tls.ca`)} change=${(value) => {
            const next = write(document, `${name}.tls.ca`, value);
            change(read(next, `${name}.tls`) ? next : write(next, `${name}.tls`, true));
          }} />`}`}
    </div></fieldset>`;
}

export function Sides({document, change, named}) {
  return html`<div class="card"><div class="fields"><${Text} path="name" label=${t('side.name')} hint=${named ? t('side.name_stays') : t('side.name_hint')} value=${document.name} required=${true} wide=${true} placeholder=${suggestedName(document)}
      fixed=${named} change=${(value) => change(write(document, 'name', value))} /></div></div>
    <div class="two"><${Side} name="source" document=${document} change=${change} /><${Side} name="target" document=${document} change=${change} /></div>`;
}
