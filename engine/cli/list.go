package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/spf13/cobra"

	"maia-dr/engine"
	"maia-dr/engine/component"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
)

func (a *app) listCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the backups, newest first", Args: argsBetween(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := a.engine(nil)
			if err != nil {
				return err
			}
			l, err := e.List()
			if err != nil {
				return err
			}
			if a.flags.json {
				return a.writeJSON(l)
			}
			a.paged(cmd.Context(), func() { a.printList(l) })
			return nil
		},
	}
}

func (a *app) printList(l *engine.ListResult) {
	if len(l.Backups) == 0 {
		a.printf("There is no backup yet in %s.\n", clean(l.Repository))
	} else {
		rows := [][]string{{"BACKUP", "MADE", "", "MAIA", "FILES", "SIZE", "NEW", "VAULT", "STATE"}}
		phases := false
		now := a.Env.Now()
		for _, b := range l.Backups {
			phases = phases || phaseText(b.Phase) != ""
			if b.State == engine.StateUnreadable {
				rows = append(rows, []string{b.BackupID, b.CreatedAt.Local().Format("Mon 2 Jan 2006 15:04"), ago(now, b.CreatedAt), "", "", "", "", "", "cannot be read: " + clean(b.Error)})
				continue
			}
			rows = append(rows, []string{b.BackupID, b.CreatedAt.Local().Format("Mon 2 Jan 2006 15:04"), ago(now, b.CreatedAt),
				phaseText(b.Phase), fmt.Sprint(b.Files), size(b.SourceBytes), size(b.StoredBytes), vaultText(b), stateText(b)})
		}
		if !phases {
			for i := range rows {
				rows[i] = slices.Delete(rows[i], 3, 4)
			}
		}
		table(a.Out, rows)
	}
	a.say("\n%s in all in %s: the backups, and the restore script beside them\n", size(l.TotalBytes), clean(l.Repository))
	for _, id := range l.Partial {
		a.say("%s has no manifest: it is still on its way here, or was never finished. It is kept.\n", id)
	}
	for _, f := range l.Foreign {
		a.say("%s does not belong to the repository. It is kept.\n", clean(f))
	}
}

// phaseText says which phase of its own a Maia was in; empty where nobody wrote that down.
func phaseText(phase string) string {
	if phase == component.PhaseUnknown {
		return ""
	}
	return clean(phase)
}

// vaultText says which password opens a backup's vault.
func vaultText(b engine.BackupInfo) string {
	if b.PasswordNumber == 0 {
		return "none"
	}
	return fmt.Sprint("password ", b.PasswordNumber)
}

func stateText(b engine.BackupInfo) string {
	var s string
	switch b.State {
	case engine.StateComplete:
		s = "complete"
	case engine.StateLocalOnly:
		s = "on this machine only"
	case engine.StateIncomplete:
		s = fmt.Sprintf("lacks %s", count(len(b.Lacks), "file", "files"))
	default:
		s = b.State
	}
	if b.Warnings > 0 {
		s += ", " + count(b.Warnings, "warning", "warnings")
	}
	return s
}

func (a *app) showCommand() *cobra.Command {
	var files string
	var secrets bool
	cmd := &cobra.Command{
		Use: "show [BACKUP] [--files [GLOB]]", Short: "Show one backup in full", Args: argsBetween(0, 2),
		Long: `Show one backup in full, with where every file under the Maia root went. BACKUP is an id, a unique prefix
of one, or "latest". --files lists the captured files, those that match GLOB if one is given.`,
		Example: `  maia-dr show
  maia-dr show latest --files 'claude/tools/**'
  maia-dr show --secrets`,
		ValidArgsFunction: a.completeUpTo(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			listFiles := cmd.Flags().Changed("files")
			// "--files GLOB": the glob may follow as a word of its own.
			if listFiles && files == "*" && len(args) > 0 && !isBackupName(args[len(args)-1]) {
				files, args = args[len(args)-1], args[:len(args)-1]
			}
			if err := argsBetween(0, 1)(cmd, args); err != nil {
				return err
			}
			if listFiles && !doublestar.ValidatePattern(files) {
				return usageErrorFor(cmd, fmt.Errorf("%q is not a valid pattern", files))
			}
			name := "latest"
			if len(args) == 1 {
				name = args[0]
			}
			e, err := a.engine(nil)
			if err != nil {
				return err
			}
			s, err := e.Show(name, listFiles || secrets)
			if err != nil {
				return err
			}
			var findings []state.Problem
			if secrets {
				if findings, err = e.SecretFindings(s.BackupID); err != nil {
					return err
				}
			}
			if !listFiles {
				s.Files = nil
			}
			if listFiles {
				s.Files = engine.MatchFiles(s.Files, files)
			}
			if a.flags.json {
				return a.writeJSON(s)
			}
			a.paged(cmd.Context(), func() {
				switch {
				case listFiles:
					a.printFiles(s, files)
				case secrets:
					a.printSecrets(s, findings)
				default:
					a.printShow(s)
				}
			})
			return nil
		},
	}
	cmd.Flags().StringVar(&files, "files", "", "list the files, or those that match `GLOB`")
	cmd.Flags().Lookup("files").NoOptDefVal = "*"
	cmd.Flags().BoolVar(&secrets, "secrets", false, "list names and places of secrets, never values")
	return cmd
}

func isBackupName(s string) bool {
	return s == "latest" || strings.HasPrefix(s, "full_") || len(s) >= 4 && strings.Trim(s, "0123456789_") == ""
}

// printFiles lists a backup's files. In the place of a size stands what it is, where that is no plain file.
func (a *app) printFiles(s *engine.Show, glob string) {
	if len(s.Files) == 0 {
		a.say("%s has no file that matches %q.\n", s.BackupID, glob)
		return
	}
	secret := map[string]string{}
	for _, f := range s.Manifest.Coverage.Secrets {
		secret[f.Component+"/"+string(f.Path)] = "redacted"
		if f.Captured {
			secret[f.Component+"/"+string(f.Path)] = "in the vault"
		}
	}
	rows := [][]cell{{{text: "SIZE", right: true}, left("CHANGED"), left("COMPONENT"), left("PATH")}}
	var total int64
	files := 0
	for _, f := range s.Files {
		what, path := size(f.SizeBytes), clean(f.Path)
		switch {
		case f.Type == repository.TypeDir:
			what, path = "folder", path+"/"
		case f.Type == repository.TypeSymlink:
			what, path = "link", path+" → "+clean(f.Link)
		case secret[f.Component+"/"+string(f.Path)] != "":
			what = secret[f.Component+"/"+string(f.Path)]
			files++
		default:
			total += f.SizeBytes
			files++
		}
		rows = append(rows, []cell{right(what), left(fileTime(f.ModTimeNS)), left(f.Component), left(path)})
	}
	a.columns(rows)
	a.say("\n%s, %s in %s\n", count(files, "file", "files"), size(total), s.BackupID)
}

// fileTime writes when a file was changed.
func fileTime(ns int64) string { return time.Unix(0, ns).Local().Format("2006-01-02 15:04") }

// printSecrets lists the secret-bearing files, and what the search for secrets found beyond them.
func (a *app) printSecrets(s *engine.Show, findings []state.Problem) {
	var rows [][]string
	for i := range s.Manifest.Coverage.Secrets {
		f := &s.Manifest.Coverage.Secrets[i]
		rows = append(rows, []string{clean(f.Path), s.Kept(f), clean(f.Reason), clean(strings.Join(f.Names, " "))})
	}
	if len(rows) == 0 {
		a.printf("No secret-bearing file was found.\n")
	}
	table(a.Out, rows)
	a.printProblemList(findings)
}

func (a *app) printShow(s *engine.Show) {
	m := s.Manifest
	rows := [][]string{
		{"Backup", s.BackupID},
		{"Made", m.CreatedAt.Local().Format("Monday 2 January 2006 15:04:05") + ", " + ago(a.Env.Now(), m.CreatedAt)},
		{"State", stateText(s.BackupInfo)},
		{"Root", clean(m.MaiaRoot)},
		{"Holds", fmt.Sprintf("%s, %s, of the root, the home and the lists made for it", count(m.Stats.SourceFiles, "file", "files"), size(m.Stats.SourceBytes))},
		{"New in it", size(s.StoredBytes)},
		{"Made by", "maia-dr " + clean(m.ProgramVersion)},
	}
	if p := phaseText(s.Phase); p != "" {
		rows = slices.Insert(rows, 3, []string{"Maia", p})
	}
	table(a.Out, rows)
	for _, n := range s.Newer {
		a.printf("Newer, but not complete: %s\n", clean(n))
	}
	a.printf("\nComponents, each with its files, folders and links\n")
	rows = nil
	for _, name := range component.Names() {
		c := m.Components[name]
		if c == nil {
			continue
		}
		note := ""
		if n := len(c.Databases); n > 0 {
			note = count(n, "database", "databases")
		}
		rows = append(rows, []string{"  " + name, count(c.Count, "entry", "entries"), size(c.SourceBytes), note})
	}
	table(a.Out, rows)
	a.printCoverage(m)
	if len(m.Warnings) > 0 {
		a.printf("\nWarnings\n")
		for _, w := range m.Warnings {
			if w.Path != "" {
				a.printf("  %s: %s\n", clean(w.Path), clean(w.Text))
			} else {
				a.printf("  %s\n", clean(w.Text))
			}
		}
	}
}

func (a *app) printCoverage(m *repository.Manifest) {
	c := m.Coverage
	a.printf("\nEvery file under the root\n")
	rows := [][]string{{"  captured", count(c.Captured.Files, "file", "files"), size(c.Captured.Bytes)}}
	if c.Secret.Files > 0 {
		rows = append(rows, []string{"  secret-bearing", count(c.Secret.Files, "file", "files"), ""})
	}
	for _, rule := range sortedKeys(c.Excluded) {
		n := c.Excluded[rule]
		rows = append(rows, []string{"  excluded by " + clean(rule), count(n.Files, "file", "files"), size(n.Bytes)})
	}
	if len(c.LeftOut) > 0 {
		rows = append(rows, []string{"  left out", count(len(c.LeftOut), "file", "files"), ""})
	}
	rows = append(rows, []string{"  together", count(c.Total, "file", "files"), ""})
	table(a.Out, rows)
	for _, l := range c.LeftOut {
		a.printf("  left out: %s: %s\n", clean(l.Path), clean(l.Reason))
	}
}
