/** Small pieces of the page. */

export function byId<T extends HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element as T;
}

/** An element with text or children; text is never read as markup. */
export function make(tag: string, className = "", ...children: (Node | string)[]): HTMLElement {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

export function track(share: number, bad = false): HTMLElement {
  const fill = make("div", bad ? "bar-fill bad" : "bar-fill");
  fill.style.width = `${Math.round(Math.max(0, Math.min(1, share)) * 1000) / 10}%`;
  return make("div", "bar-track", fill);
}

export function facts(list: HTMLElement, entries: [string, string][]): void {
  list.replaceChildren(...entries.flatMap(([name, value]) => [make("dt", "", name), make("dd", "", value)]));
}

export const ms = (ns: number) => `${(ns / 1e6).toFixed(ns < 1e6 ? 3 : 2)} ms`;

/** The tabs, with the keys that tabs have. */
export function tabs(): void {
  const all = [...document.querySelectorAll<HTMLButtonElement>('[role="tab"]')];
  const select = (tab: HTMLButtonElement) => {
    for (const other of all) {
      const on = other === tab;
      other.setAttribute("aria-selected", String(on));
      other.tabIndex = on ? 0 : -1;
      byId(other.getAttribute("aria-controls") ?? "").hidden = !on;
    }
  };
  all.forEach((tab, i) => {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", (event) => {
      const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: all.length - 1 }[event.key];
      const next = to === undefined ? undefined : all[(to + all.length) % all.length];
      if (!next) return;
      event.preventDefault();
      select(next);
      next.focus();
    });
  });
}
