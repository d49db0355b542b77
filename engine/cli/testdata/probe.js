// What can be seen of a page that is open, and what is wrong with it, as JSON. It runs in the browser beside the page,
// which has its own scripts off.
(() => {
  const faults = [], shown = (text) => JSON.stringify(text.trim().slice(0, 40));

  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  // rgba reads any colour of CSS: what the browser paints with it.
  const known = new Map();
  const rgba = (css) => {
    if (!known.has(css)) known.set(css, painted(css));
    return known.get(css);
  };
  const painted = (css) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = css;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const luminance = (c) => {
    const [r, g, b] = c.map((v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (light + 0.05) / (dark + 0.05);
  };
  const background = (e) => {
    const layers = [];
    for (; e; e = e.parentElement) layers.push(rgba(getComputedStyle(e).backgroundColor));
    return layers.reduceRight((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const meet = (a, b) => [Math.min(a.right, b.right) - Math.max(a.left, b.left), Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)];

  const wide = document.scrollingElement.scrollWidth;
  if (wide > innerWidth) faults.push(`it is ${wide} px wide in a window of ${innerWidth}`);

  // Every line of every text that is to be seen, with where it is.
  const lines = [];
  let texts = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    const e = node.parentElement;
    if (!node.data.trim() || e.closest(".hidden, title, desc, style") || !e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) continue;
    texts++;
    const style = getComputedStyle(e), svg = e.closest("svg"), range = document.createRange();
    range.selectNodeContents(node);
    const rects = svg ? [e.getBoundingClientRect()] : [...range.getClientRects()].filter((r) => r.width > 0);
    const under = [background(svg ? svg.parentElement : e)];
    for (const r of rects) {
      lines.push({ node, r });
      // A picture has an edge of its own. What is wider than the window can be scrolled to, or is cut off.
      const frame = svg ? svg.getBoundingClientRect() : { left: 0, right: innerWidth };
      const scrolls = e.closest(".scroll"), inside = scrolls && getComputedStyle(scrolls).overflowX === "auto";
      if ((r.left < frame.left - 0.5 || r.right > frame.right + 0.5) && !inside) faults.push(`${shown(node.data)} is cut off`);
      for (let box = e; box; box = box.parentElement) {
        const b = box.getBoundingClientRect();
        if (/hidden|clip/.test(getComputedStyle(box).overflow) && box !== svg && meet(r, b)[0] < r.width - 0.5) faults.push(`${shown(node.data)} is cut off by ${box.localName}`);
      }
      const cell = e.closest("td, th, .card");
      if (cell && !svg && meet(r, cell.getBoundingClientRect())[0] < r.width - 0.5) faults.push(`${shown(node.data)} sticks out of its ${cell.localName}`);
      if (svg) {
        const size = parseFloat(style.fontSize) * (svg.getBoundingClientRect().width / svg.viewBox.baseVal.width);
        if (size < 9) faults.push(`${shown(node.data)} is ${size.toFixed(1)} px high`);
        for (const bar of svg.querySelectorAll("rect")) if (meet(r, bar.getBoundingClientRect()).every((d) => d > 1)) under.push(rgba(getComputedStyle(bar).fill));
      }
    }
    for (const ground of under) {
      const c = contrast(over(rgba(svg ? style.fill : style.color), ground), ground);
      if (c < 4.5) faults.push(`${shown(node.data)} has a contrast of ${c.toFixed(2)}`);
    }
  }
  lines.sort((a, b) => a.r.top - b.r.top);
  lines.forEach((a, i) => {
    for (let j = i + 1; j < lines.length && lines[j].r.top < a.r.bottom; j++) {
      const b = lines[j], [x, y] = meet(a.r, b.r);
      // The boxes of two lines may touch; their letters must not.
      if (x > 1 && y > 0.4 * Math.min(a.r.height, b.r.height)) faults.push(`${shown(a.node.data)} and ${shown(b.node.data)} lie over one another`);
    }
  });

  // What says something without words: 3 to 1.
  const pictures = document.querySelectorAll("svg");
  for (const mark of document.querySelectorAll("svg .bar, svg .dot, svg .limit, svg .meterfill")) {
    const ground = background(mark.closest("svg").parentElement), style = getComputedStyle(mark);
    const c = contrast(over(rgba(mark.matches(".limit") ? style.stroke : style.fill), ground), ground);
    if (c < 3) faults.push(`a ${mark.getAttribute("class")} has a contrast of ${c.toFixed(2)}`);
  }
  for (const svg of pictures) {
    const figure = svg.closest("figure");
    const described = (svg.getAttribute("aria-labelledby") || "").split(" ").some((id) => svg.querySelector("desc")?.id === id && svg.querySelector("desc").textContent.trim());
    if (figure && !described) faults.push("a plot has no description");
    if (figure && !figure.querySelector("table")) faults.push("a plot has no table");
  }
  return JSON.stringify({ texts, pictures: pictures.length, faults: [...new Set(faults)] });
})()
