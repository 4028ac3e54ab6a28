// Logging in with a token.
import {html, useState, useTitle} from '../ui.js';
import {t} from '../words.js';
import {logIn} from '../api.js';
import {Trouble} from '../parts/toast.js';

export function Login() {
  const [token, setToken] = useState('');
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  useTitle(t('login.title'));
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await logIn(token.trim());
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  };
  return html`<form class="card login" onSubmit=${submit}>
    <h1>${t('login.title')}</h1>
    <p class="dim">${t('login.text')}</p>
    <label for="token">${t('login.token')}</label>
    <input id="token" type="password" autocomplete="current-password" required spellcheck="false" value=${token} onInput=${(event) => setToken(event.target.value)} />
    <${Trouble} error=${error} />
    <div class="buttons"><button class="primary" id="login" type="submit" disabled=${busy || !token.trim()}>${t('login.action')}</button></div>
    <p class="hint">${t('login.hint')} <code>keyferry token create</code></p>
  </form>`;
}
