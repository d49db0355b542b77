package cli

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Colours of a cell, as SGR parameters. They repeat what the cell says in words.
const (
	green  = "32"
	red    = "31"
	yellow = "33"
	bold   = "1"
)

// cell is a field of a row.
type cell struct {
	text   string
	right  bool   // set right in its column: numbers
	colour string // "": that of the terminal
}

func left(s string) cell  { return cell{text: s} }
func right(s string) cell { return cell{text: s, right: true} }

// colours reports whether the answer may have colours: on a terminal that knows them, unless somebody wants none.
func (a *app) colours() bool {
	return a.OutTerminal && a.Env.Getenv("NO_COLOR") == "" && a.Env.Getenv("TERM") != "dumb"
}

// columns writes rows as columns, two spaces apart.
func (a *app) columns(rows [][]cell) {
	var widths []int
	for _, r := range rows {
		for i, c := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	coloured := a.colours()
	for _, r := range rows {
		var line strings.Builder
		for i, c := range r {
			if i > 0 {
				line.WriteString("  ")
			}
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text))
			text := c.text
			if coloured && c.colour != "" && text != "" {
				text = "\x1b[" + c.colour + "m" + text + "\x1b[0m"
			}
			switch {
			case c.right:
				line.WriteString(pad + text)
			case i == len(r)-1:
				line.WriteString(text)
			default:
				line.WriteString(text + pad)
			}
		}
		fmt.Fprintln(a.Out, strings.TrimRight(line.String(), " "))
	}
}
