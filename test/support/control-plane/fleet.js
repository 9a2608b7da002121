// Shows the page as it is now, without a reload: focus and scrolling stay. Without JavaScript it is as it was.
const EVERY_MS = 2000;

async function look() {
  const main = document.querySelector('main');
  if (!document.hidden) {
    try {
      const response = await fetch(location.pathname, {
        signal: AbortSignal.timeout(EVERY_MS * 5),
      });
      const fresh = new DOMParser().parseFromString(await response.text(), 'text/html');
      const next = fresh.querySelector('main');
      if (next !== null && next.innerHTML !== main.innerHTML) {
        const link = document.activeElement?.getAttribute('href');
        main.replaceChildren(...next.childNodes);
        if (link !== null && link !== undefined) {
          main.querySelector(`a[href="${CSS.escape(link)}"]`)?.focus({ preventScroll: true });
        }
      }
      main.classList.remove('late');
    } catch {
      main.classList.add('late');
    }
  }
  setTimeout(look, EVERY_MS);
}

setTimeout(look, EVERY_MS);
