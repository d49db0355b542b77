package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"

	"maia-dr/engine/repository"
)

// size writes bytes for people, in the units of macOS: 1 MB is a million bytes.
func size(n int64) string { return humanize.Bytes(uint64(max(n, 0))) }

// ago writes a moment as a distance from now.
func ago(now, t time.Time) string {
	if d := now.Sub(t); d >= 0 && d < 45*time.Second {
		return "just now"
	}
	return humanize.RelTime(t, now, "ago", "from now")
}

// took writes a duration for people.
func took(d time.Duration) string {
	switch {
	case d < 50*time.Millisecond:
		return "under 0.1 s"
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	d = d.Round(time.Second)
	return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
}

// count writes a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return humanize.Comma(int64(n)) + " " + many
}

// clean makes a name safe to show on a terminal: control characters become visible.
func clean[S ~string](s S) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, string(s))
}

// cleanLines is clean for a text of several lines.
func cleanLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = clean(lines[i])
	}
	return strings.Join(lines, "\n")
}

// table aligns rows.
func table(w io.Writer, rows [][]string) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(tw, strings.Join(r, "\t"))
	}
	_ = tw.Flush()
}

// writeJSON writes one object.
func (a *app) writeJSON(v any) error {
	enc := json.NewEncoder(a.Out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// warnings lists warnings on standard error, those with the same remedy together.
func (a *app) warnings(list []repository.Warning) {
	if a.flags.json {
		return
	}
	for _, group := range groupWarnings(list) {
		if len(group) > 1 {
			fmt.Fprintf(a.Err, "%d warnings:\n", len(group))
		}
		for i, w := range group {
			if i == 10 && !a.flags.verbose {
				fmt.Fprintf(a.Err, "  and %d more: see them with `maia-dr show`\n", len(group)-i)
				break
			}
			lead := "warning: "
			if len(group) > 1 {
				lead = "  "
			}
			if w.Path != "" {
				lead += clean(w.Path) + ": "
			}
			fmt.Fprintf(a.Err, "%s%s\n", lead, clean(w.Text))
		}
		if hint := group[0].Hint; hint != "" {
			fmt.Fprintf(a.Err, "  what to do: %s\n", hint)
		}
	}
}

// groupWarnings puts warnings with the same code and remedy together, in the order in which each kind first came.
func groupWarnings(list []repository.Warning) [][]repository.Warning {
	var out [][]repository.Warning
	for _, w := range list {
		i := slices.IndexFunc(out, func(g []repository.Warning) bool { return g[0].Code == w.Code && g[0].Hint == w.Hint })
		if i < 0 {
			out = append(out, nil)
			i = len(out) - 1
		}
		out[i] = append(out[i], w)
	}
	return out
}
