package engine

import (
	"fmt"
	"slices"
	"strings"

	"maia-dr/engine/repository"
	"maia-dr/engine/state"
)

// What a backup has of a secret-bearing file, in words.
const (
	KeptInVault  = "in the vault"
	KeptRedacted = "in the backup without its secrets"
	KeptNot      = "not in the backup"
)

// SecretsKept counts a backup's secret-bearing files by what it has of them.
type SecretsKept struct {
	InVault int `json:"in_vault"`
	// Redacted are copies without their secrets, where there is no vault that has the rest; Missing are in no part of it.
	Redacted int `json:"redacted"`
	Missing  int `json:"missing"`
}

// placesOf returns the places at which a backup's file list has something.
func placesOf(files []repository.File) map[string]bool {
	out := make(map[string]bool, len(files))
	for i := range files {
		out[place(files[i].Component, string(files[i].Path))] = true
	}
	return out
}

// keptOf says what a backup has of a secret-bearing file.
func keptOf(s *repository.SecretRef, there map[string]bool) string {
	switch {
	case s.Captured:
		return KeptInVault
	case there[place(s.Component, string(s.Path))]:
		return KeptRedacted
	}
	return KeptNot
}

func secretsKept(m *repository.Manifest, files []repository.File) (k SecretsKept) {
	there := placesOf(files)
	for i := range m.Coverage.Secrets {
		switch keptOf(&m.Coverage.Secrets[i], there) {
		case KeptInVault:
			k.InVault++
		case KeptRedacted:
			k.Redacted++
		default:
			k.Missing++
		}
	}
	return k
}

// LeftOut says in words which secrets are in no part of the backup; empty: none.
func (k SecretsKept) LeftOut() string {
	var out []string
	if k.Missing > 0 {
		out = append(out, counted(k.Missing, "file with secrets is", "files with secrets are")+" "+KeptNot)
	}
	if k.Redacted > 0 {
		noun, own := counted(k.Redacted, "file is", "files are"), "its"
		if k.Redacted > 1 {
			own = "their"
		}
		out = append(out, noun+" in it without "+own+" secrets")
	}
	return strings.Join(out, ", ")
}

// historyLeftOut says what of the git history a restore of a backup without an open vault cannot bring back; empty: nothing that is
// known. files is the backup's list. What the remotes have is fetched from there, and not left out.
func historyLeftOut(m *repository.Manifest, files []repository.File) string {
	g := systemOf(m).Git
	switch {
	case !g.Present, slices.ContainsFunc(files, inGitFolder):
		return ""
	case g.Problem != "":
		return "the git history is not in it, and whether it can be had from elsewhere is not known"
	case g.NoRemote && g.Head == "":
		return ""
	case g.NoRemote:
		return "the git history is not in it, and no remote has it"
	case g.Unpushed > 0 && g.Stashes > 0:
		return fmt.Sprintf("of the git history %s on no remote and %s not in it",
			counted(g.Unpushed, "commit that is", "commits that are"), counted(g.Stashes, "stash are", "stashes are"))
	case g.Unpushed > 0:
		return "of the git history " + counted(g.Unpushed, "commit that is on no remote is", "commits that are on no remote are") + " not in it"
	case g.Stashes > 0:
		return "of the git history " + counted(g.Stashes, "stash is", "stashes are") + " not in it"
	}
	return ""
}

// historyText says in words where the git history is, of a backup without a vault that does not hold it.
func historyText(m *repository.Manifest, files []repository.File) string {
	text := historyLeftOut(m, files)
	if g := systemOf(m).Git; text == "" && g.Present && g.Head != "" && !slices.ContainsFunc(files, inGitFolder) {
		return "the git history is not in it: a restore fetches it from its remotes"
	}
	return text
}

// inGitFolder reports whether a file of a backup belongs to the root's own git history.
func inGitFolder(f repository.File) bool {
	return inStream(f.Component) && (f.Path == ".git" || strings.HasPrefix(string(f.Path), ".git/"))
}

// SecretFindings are what the last backup's search for secrets found that somebody has to see to; of any other backup nothing is known.
func (e *Engine) SecretFindings(backupID string) ([]state.Problem, error) {
	st, _, err := e.state.ReadStatus()
	if err != nil {
		return nil, &Error{Op: "read the status", Path: e.state.Path, Code: CodeState, Err: err}
	}
	if st.LastBackup == nil || st.LastBackup.BackupID != backupID {
		return nil, nil
	}
	return slices.DeleteFunc(slices.Clone(st.Problems), func(p state.Problem) bool { return !isSecretFinding(&p) }), nil
}

// The codes of what the search for secrets finds.
const (
	FindingWord   = "secret_is_a_word"
	FindingLikely = "likely_secret"
	FindingOlder  = "secret_in_older_backup"
)

func isSecretFinding(p *state.Problem) bool {
	return p.Code == FindingWord || p.Code == FindingLikely || p.Code == FindingOlder
}
