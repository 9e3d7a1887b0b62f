// A small plot of the last hour.
import { element, setText, shape } from "/page/elements.js";

const bucketMilliseconds = 10_000;
// The hour, and what is shown of it before it is over.
const spans = [30, 90, 360];
const buckets = spans.at(-1);
const width = 360;
const height = 72;

export class Plot {
  #format;
  #title;
  // For each bucket of time its number, the sum of its samples, how many they are, and the largest.
  #samples = [];
  #area = shape("path", { class: "area" });
  #line = shape("path", { class: "line" });
  #picture = shape(
    "svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img" },
    shape("line", { class: "ground", x1: 0, x2: width, y1: height - 0.5, y2: height - 0.5 }), this.#area, this.#line);
  #now = element("strong", {}, "–");
  #most = element("span");
  #from = element("span");

  /** `format` puts a number into words. */
  constructor(title, format) {
    this.#title = title;
    this.#format = format;
    this.node = element(
      "figure", { class: "plot" },
      element("figcaption", {}, element("span", {}, title), this.#now), this.#picture,
      element("p", { class: "axis hint", "aria-hidden": "true" }, this.#from, this.#most, element("span", {}, "now")));
  }

  add(value) {
    const number = Math.floor(Date.now() / bucketMilliseconds);
    let last = this.#samples.at(-1);
    if (last?.number !== number) {
      last = { number, sum: 0, count: 0, most: 0 };
      this.#samples.push(last);
      this.#draw(number);
    }
    last.sum += value;
    last.count += 1;
    last.most = Math.max(last.most, value);
    setText(this.#now, this.#format(value));
    if (last.count === 1 || value === last.most) this.#draw(number);
  }

  #draw(number) {
    while (this.#samples.length && this.#samples[0].number <= number - buckets) this.#samples.shift();
    const most = Math.max(...this.#samples.map((sample) => sample.most), 0);
    const since = number - this.#samples[0].number + 1;
    const shown = spans.find((each) => each >= since);
    const x = (sample, edge) => ((sample.number - number + shown - 1 + edge) * width) / shown;
    const y = (sample) => height - 1 - (most ? (sample.sum / Math.max(1, sample.count) / most) * (height - 6) : 0);
    let line = "";
    let area = "";
    let before;
    for (const sample of this.#samples) {
      const level = y(sample).toFixed(1);
      const joins = before && before.number === sample.number - 1;
      // Where the page did not look, there is a gap.
      if (!joins) {
        if (before) area += `V${height - 1}Z`;
        line += `M${x(sample, 0).toFixed(1)} ${level}`;
        area += `M${x(sample, 0).toFixed(1)} ${height - 1}V${level}`;
      } else {
        line += `V${level}`;
        area += `V${level}`;
      }
      line += `H${x(sample, 1).toFixed(1)}`;
      area += `H${x(sample, 1).toFixed(1)}`;
      before = sample;
    }
    if (before) area += `V${height - 1}Z`;
    this.#line.setAttribute("d", line);
    this.#area.setAttribute("d", area);
    setText(this.#most, most ? `most ${this.#format(most)}` : "");
    setText(this.#from, `${(shown * bucketMilliseconds) / 60_000} min ago`);
    const minutes = Math.max(1, Math.round((since * bucketMilliseconds) / 60_000));
    this.#picture.setAttribute("aria-label", `${this.#title} in the last ${minutes} min: at most ${this.#format(most)}`);
  }
}
