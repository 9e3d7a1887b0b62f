// The page: two parts under one navigation.
import { byId } from "/page/elements.js";
import { Chat } from "/page/chat.js";
import { Host } from "/page/host.js";

const parts = { chat: new Chat(), host: new Host() };
let shown;

function show() {
  const name = location.hash === "#host" ? "host" : "chat";
  if (name === shown) return;
  const isFirst = shown === undefined;
  if (!isFirst) parts[shown].hide();
  shown = name;
  for (const each of Object.keys(parts)) {
    byId(each).hidden = each !== name;
    if (each === name) byId(`to-${each}`).setAttribute("aria-current", "page");
    else byId(`to-${each}`).removeAttribute("aria-current");
  }
  document.title = name === "host" ? "This host – Hearth" : "Hearth";
  parts[name].show(isFirst);
}

addEventListener("hashchange", show);
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("main").focus();
});
show();
