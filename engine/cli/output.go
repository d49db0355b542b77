package cli

import (
	"encoding/json"
	"fmt"
	"io"
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

// table aligns rows.
func table(w io.Writer, rows [][]string) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(tw, strings.Join(r, "\t"))
	}
	tw.Flush()
}

// writeJSON writes one object.
func (a *app) writeJSON(v any) error {
	enc := json.NewEncoder(a.Out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// warnings lists warnings on standard error, the same kind together.
func (a *app) warnings(list []repository.Warning) {
	if a.flags.json {
		return
	}
	for i, w := range list {
		if i == 10 && !a.flags.verbose {
			fmt.Fprintf(a.Err, "  and %d more: see them with `maia-dr show`\n", len(list)-i)
			return
		}
		if w.Path != "" {
			fmt.Fprintf(a.Err, "warning: %s: %s\n", clean(w.Path), clean(w.Text))
		} else {
			fmt.Fprintf(a.Err, "warning: %s\n", clean(w.Text))
		}
		if w.Hint != "" {
			fmt.Fprintf(a.Err, "  what to do: %s\n", w.Hint)
		}
	}
}
