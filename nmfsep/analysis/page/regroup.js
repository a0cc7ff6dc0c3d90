// Regrouping: stems in groups, which are heard at once since stems add up, and the command that writes them.

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  for (const [key, value] of Object.entries(properties.attributes ?? {})) made.setAttribute(key, value);
  made.append(...children);
  return made;
};

// a word as a POSIX shell takes it
const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

class Regroup {
  constructor(rows, regroup, onsolo, say) {
    this.rows = rows;
    this.regroup = regroup;
    this.onsolo = onsolo;
    this.say = say;
    this.groups = rows.map((row, index) => ({ name: String(row.name), members: [index] }));
  }

  movable(index) {
    return (this.rows[index].components ?? []).length > 0; // else it is what the components leave
  }

  move(index, target) {
    for (const group of this.groups) group.members = group.members.filter((member) => member !== index);
    if (target === null) this.groups.push({ name: String(this.rows[index].name), members: [index] });
    else target.members = [...target.members, index].sort((a, b) => a - b);
    this.groups = this.groups.filter((group) => group.members.length);
    this.show();
    const there = this.groups.find((group) => group.members.includes(index));
    this.say(`${this.rows[index].name} is in group ${there.name}`);
    document.querySelector(`#groups select[data-row="${index}"]`)?.focus();
  }

  faulty(group) {
    const same = this.groups.filter((other) => other.name === group.name).length > 1;
    return same || !group.name || group.name.includes("/") || [".", ".."].includes(group.name) || group.name.length > 200;
  }

  command() {
    const words = [];
    const changed = this.groups.some((group) => this.asks(group));
    for (const group of this.groups) {
      const members = group.members.flatMap((index) => this.rows[index].components ?? []).sort((a, b) => a - b);
      if (members.length && (this.asks(group) || (changed && this.regroup.named))) {
        words.push("--group", quoted(`${group.name}=${members.join(",")}`));
      }
    }
    return [this.regroup.command, ...words].join(" ");
  }

  asks(group) {
    return group.members.length > 1 || group.name !== String(this.rows[group.members[0]].name);
  }

  show() {
    const place = document.getElementById("groups");
    place.replaceChildren(...this.groups.map((group, number) => this.card(group, number)));
    this.showCommand();
  }

  showCommand() {
    document.querySelectorAll("#groups input").forEach((input, number) => {
      input.setCustomValidity(this.faulty(this.groups[number]) ? "Each group needs a name of its own, without /." : "");
    });
    document.getElementById("command").textContent = this.command();
  }

  card(group, number) {
    const name = element("input", { type: "text", value: group.name, maxLength: 200 });
    name.setAttribute("aria-label", `Name of group ${number + 1}`);
    name.disabled = !group.members.some((index) => this.movable(index));
    name.addEventListener("input", () => {
      group.name = name.value;
      this.showCommand();
    });
    name.addEventListener("change", () => this.show());
    const solo = element("button", { type: "button", textContent: "Solo", title: "Hear this group alone" });
    solo.setAttribute("aria-label", `Solo group ${group.name}`);
    solo.addEventListener("click", () => this.onsolo(group.members));
    const card = element("div", { className: "group" }, element("div", {}, name, solo));
    card.setAttribute("role", "group");
    card.setAttribute("aria-label", `Group ${group.name}`);
    card.append(...group.members.map((index) => this.chip(index, group)));
    card.addEventListener("dragover", (event) => {
      event.preventDefault();
      card.classList.add("over");
    });
    card.addEventListener("dragleave", () => card.classList.remove("over"));
    card.addEventListener("drop", (event) => {
      event.preventDefault();
      card.classList.remove("over");
      const index = Number(event.dataTransfer.getData("text/plain"));
      if (this.rows[index] && this.movable(index) && this.movable(group.members[0]) && !group.members.includes(index)) {
        this.move(index, group);
      }
    });
    return card;
  }

  chip(index, group) {
    const chip = element("div", { className: "chip" }, element("span", { textContent: this.rows[index].name }));
    chip.style.setProperty("--own", `var(--c${index % 8})`);
    if (!this.movable(index)) {
      chip.title = "What the components leave stays a stem of its own";
      return chip;
    }
    chip.draggable = true;
    chip.addEventListener("dragstart", (event) => event.dataTransfer.setData("text/plain", String(index)));
    const choice = element("select", { title: "Move to another group" });
    choice.dataset.row = index;
    choice.setAttribute("aria-label", `Group of ${this.rows[index].name}`);
    const open = this.groups.filter((other) => this.movable(other.members[0]));
    open.forEach((other) => choice.append(new Option(other.name, String(open.indexOf(other)), false, other === group)));
    if (group.members.length > 1) choice.append(new Option("New group", "new"));
    choice.addEventListener("change", () => this.move(index, choice.value === "new" ? null : open[Number(choice.value)]));
    chip.append(choice);
    return chip;
  }
}
