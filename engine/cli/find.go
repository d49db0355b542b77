package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"maia-dr/engine"
	"maia-dr/engine/repository"
)

func (a *app) findCommand() *cobra.Command {
	return &cobra.Command{
		Use: "find GLOB", Short: "Find a file in all backups: when it last existed, and as what", Args: argsBetween(1, 1),
		Long: `Find files in all backups. GLOB without a slash is a name in any folder ("tickets.db", "*.md"); with one it is a path
as in show --files, in which ** stands for any number of folders. Backups that follow each other and hold the same
content are one row. Of what is in the vault only the name is known. Exit code 3: a backup could not be searched.`,
		Example: `  maia-dr find servicedesk_tickets.db
  maia-dr find 'claude/agents/**/*.md'`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := a.engine(nil)
			if err != nil {
				return err
			}
			res, err := e.Find(args[0])
			if err != nil {
				return err
			}
			if len(res.NotSearched) > 0 {
				a.exit = ExitIncomplete
			}
			if a.flags.json {
				return a.writeJSON(res)
			}
			a.paged(cmd.Context(), func() { a.printFound(res) })
			return nil
		},
	}
}

func (a *app) printFound(r *engine.FindResult) {
	if len(r.Files) == 0 {
		a.printf("No file of any backup matches %q.\n", clean(r.Glob))
	}
	rows := [][]cell{{right("SIZE"), left("CHANGED"), left("FIRST BACKUP"), left("LAST BACKUP"), right("IN"), left(""), left("PATH")}}
	for _, f := range r.Files {
		for i, v := range f.Versions {
			what, changed := versionText(&v)
			rows = append(rows, []cell{right(what), left(changed), left(v.First), left(v.Last), right(fmt.Sprint(v.Backups)),
				stillThere(&f, i), left(clean(f.Path))})
		}
	}
	if len(r.Files) > 0 {
		a.columns(rows)
	}
	a.say("\n%s in %s\n", count(len(r.Files), "file", "files"), count(len(r.Backups), "backup", "backups"))
	for _, n := range r.NotSearched {
		a.say("%s was not searched: %s\n", n.BackupID, clean(n.Error))
	}
}

// stillThere says of a file's version, the newest being 0, whether the newest backup has it.
func stillThere(f *engine.FoundFile, version int) cell {
	switch {
	case version > 0:
		return left("older")
	case f.InLatest:
		return cell{text: "latest", colour: green}
	}
	return cell{text: "gone", colour: yellow}
}

// versionText is a version's size, or what it is instead, and when it was changed.
func versionText(v *engine.FoundVersion) (what, changed string) {
	switch {
	case v.Type == engine.DiffSecret:
		return "secret", "not known"
	case v.Type == repository.TypeDir:
		what = "folder"
	case v.Type == repository.TypeSymlink:
		what = "→ " + clean(v.Link)
	case v.SizeBytes != nil:
		what = size(*v.SizeBytes)
	}
	return what, fileTime(v.ModTimeNS)
}
