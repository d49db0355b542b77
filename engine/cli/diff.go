package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"maia-dr/engine"
	"maia-dr/engine/repository"
)

func (a *app) diffCommand() *cobra.Command {
	var only []string
	cmd := &cobra.Command{
		Use: "diff [BACKUP [BACKUP]]", Short: "What differs between two backups", Args: argsBetween(0, 2),
		Long: `What differs between two backups: files that were added, changed and removed, with their sizes, by component. Without
names, the newest complete backup and the one before it; with one name, that backup and the newest. Nothing is
downloaded or unpacked: the backups' lists are compared. Of what is in the vault only names are.`,
		Example: `  maia-dr diff
  maia-dr diff full_20251013_030000 latest`,
		ValidArgsFunction: a.completeUpTo(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := a.engine(nil)
			if err != nil {
				return err
			}
			args = append(args, "", "")
			d, err := e.Diff(args[0], args[1])
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("only") {
				if err := d.Keep(names(only)); err != nil {
					return usageErrorFor(cmd, err)
				}
			}
			if a.flags.json {
				return a.writeJSON(d)
			}
			a.paged(cmd.Context(), func() { a.printDiff(d) })
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&only, "only", nil, "compare only these `COMPONENTS`")
	completeFlag(cmd, "only", completeComponents())
	return cmd
}

func (a *app) printDiff(d *engine.Diff) {
	now := a.Env.Now()
	var rows [][]cell
	for i, id := range []string{d.A, d.B} {
		made := ""
		if at, err := repository.IDTime(id); err == nil {
			made = at.Local().Format("Mon 2 Jan 2006 15:04") + ", " + ago(now, at)
		}
		rows = append(rows, []cell{left([]string{"From", "to"}[i]), left(id), left(made)})
	}
	a.columns(rows)
	if len(d.Files) == 0 {
		a.printf("\nNo file was added, changed or removed.\n")
	} else {
		a.printDiffTotals(d)
		a.printDiffFiles(d)
	}
	if d.Touched > 0 {
		a.say("\n%s the same but for the time.\n", count(d.Touched, "file is", "files are"))
	}
	if d.Sealed > 0 {
		a.say("%s secrets in both: whether those have changed is not known.\n", count(d.Sealed, "file holds", "files hold"))
	}
}

func (a *app) printDiffTotals(d *engine.Diff) {
	rows := [][]cell{{left("COMPONENT"), right("ADDED"), right("CHANGED"), right("REMOVED"), right("BEFORE"), right("AFTER"), right("")}}
	for _, c := range d.Components {
		rows = append(rows, []cell{left(c.Name), right(fmt.Sprint(c.Added)), right(fmt.Sprint(c.Changed)), right(fmt.Sprint(c.Removed)),
			right(size(c.BeforeBytes)), right(size(c.AfterBytes)), right(delta(c.AfterBytes - c.BeforeBytes))})
	}
	a.printf("\n")
	a.columns(rows)
}

func (a *app) printDiffFiles(d *engine.Diff) {
	colour := map[string]string{engine.DiffAdded: green, engine.DiffChanged: yellow, engine.DiffRemoved: red}
	by := ""
	var rows [][]cell
	for _, f := range d.Files {
		if f.Component != by {
			a.columns(rows)
			a.printf("\n%s\n", f.Component)
			by, rows = f.Component, nil
		}
		path := clean(f.Path)
		if f.Type == repository.TypeDir {
			path += "/"
		}
		rows = append(rows, []cell{left(" "), {text: f.Change, colour: colour[f.Change]}, right(diffSize(&f)), left(path)})
	}
	a.columns(rows)
}

// diffSize says how large a file was and is, and how it differs otherwise.
func diffSize(f *engine.DiffFile) string {
	switch {
	case f.Type == engine.DiffSecret && !f.InVault:
		return "without its secrets"
	case f.Type == engine.DiffSecret && f.Change == engine.DiffChanged:
		return "in or out of the vault"
	case f.Type == engine.DiffSecret:
		return "in the vault"
	}
	switch before, after := f.BeforeBytes, f.AfterBytes; {
	case len(f.What) > 0 && f.What[0] != "content":
		return strings.Join(f.What, ", ")
	case before != nil && after != nil && size(*before) == size(*after):
		return size(*after) + ", " + delta(*after-*before)
	case before != nil && after != nil:
		return size(*before) + " → " + size(*after)
	case before != nil:
		return size(*before)
	case after != nil:
		return size(*after)
	case f.Type == repository.TypeDir:
		return "folder"
	}
	return "link"
}

// delta writes a difference of sizes with its sign.
func delta(n int64) string {
	switch {
	case n > 0:
		return "+" + size(n)
	case n < 0:
		return "−" + size(-n)
	}
	return "same size"
}
