package menu

import (
	"strings"
	"time"
	"unicode"
)

// problem is trouble that is worth a row, with what to do about it.
type problem struct {
	key    string // the same from run to run, for muting
	text   string
	remedy string // what a click does, after "click to"
	action Action
	muted  time.Time // zero: it is not
	urgent bool      // it makes the icon one of attention even before a first backup
}

// known is a problem in the words of the menu; text "" leaves the engine's own.
type known struct {
	text, remedy string
	action       Action
}

var (
	backUp      = Action{DoStart, "backup"}
	fullDrill   = Action{DoStart, "drill"}
	setPassword = Action{InTerminal, "password set"}
	details     = Action{InTerminal, "status --verbose"}
	setUp       = Action{InTerminal, "setup"}
)

const (
	toBackUp  = "back up now"
	toDetails = "see what to do"
	toSetUp   = "set it up"
)

// remedies have the codes of problems; everything else is shown with the engine's own text and hint.
var remedies = map[string]known{
	"overdue":                     {"", toBackUp, backUp},
	"interrupted":                 {"", "start again", backUp},
	"not_published":               {"The newest backup is on this computer, but not yet in the OneDrive folder", "bring it there", backUp},
	"no_backup":                   {"There is no complete backup yet", toSetUp, setUp},
	"backup_incomplete":           {"", "see the list of backups", Action{InTerminal, "list"}},
	"no_maia_root":                {"The folder to protect was not found", toSetUp, setUp},
	"no_onedrive_folder":          {"The OneDrive folder was not found", toSetUp, setUp},
	"newer_format":                {"A newer version of this program wrote the backups; this one cannot read them", toDetails, details},
	"another_machines_repository": {"The backups in this OneDrive folder belong to another computer", toSetUp, setUp},
	"vault_missing":               {"Passwords and keys are not backed up: no vault password is set", "set one", setPassword},
	"password_unavailable":        {"Passwords and keys are not backed up: the vault password could not be read", "check it", Action{InTerminal, "password check"}},
	"password_untyped":            {"", "type it once, so that you still know it", Action{InTerminal, "password check --typed"}},
	"sheet_outdated":              {"", "make a new one", Action{InTerminal, "password sheet"}},
	"drill_failed":                {"The last restore drill found problems", toDetails, details},
	"drill_slow":                  {"The last restore drill took longer than it should", toDetails, details},
	"damaged":                     {"The last check found damaged files", "check all backups", Action{InTerminal, "verify --all"}},
	"foreign_file":                {"", "see the list of backups", Action{InTerminal, "list"}},
	"warnings":                    {"", "see them", Action{InTerminal, "show"}},
}

// patience is how long a look may take before that is a problem of its own.
const patience = 2 * time.Minute

// failures say why a backup failed, by the code of the error.
var failures = map[string]known{
	"disk_full":                   {"the disk is full", toDetails, details},
	"folder_not_writable":         {"a folder cannot be written to", "try again", backUp},
	"no_maia_root":                {"the folder to protect was not found", toDetails, details},
	"no_onedrive_folder":          {"the OneDrive folder was not found", toDetails, details},
	"password_missing":            {"the vault password could not be read", "check it", Action{InTerminal, "password check"}},
	"repository_gone":             {"the backups in the OneDrive folder are gone", toDetails, details},
	"newer_format":                {"a newer version of this program wrote the backups there", toDetails, details},
	"another_machines_repository": {"the backups there belong to another computer", toDetails, details},
	"secret_in_plain":             {"a secret would have been stored unprotected", toDetails, details},
	"configuration":               {"the configuration file has a mistake", toDetails, details},
}

// FailureKey is the key of the problem that the last backup failed.
const FailureKey = "backup_failed"

// problems lists what is wrong, the worst first, each once.
func (s *State) problems(now time.Time) []problem {
	var out []problem
	add := func(p problem) {
		for _, have := range out {
			if have.key == p.key && have.text == p.text {
				return
			}
		}
		p.text = Clean(p.text, maxText)
		if until := s.Muted[p.key]; until.After(now) {
			p.muted = until
		}
		out = append(out, p)
	}
	switch {
	case s.Newer:
		add(problem{key: "newer_program", text: "A newer version of this program is in use on this computer", remedy: "quit this one", action: Action{Verb: DoQuit}, urgent: true})
	case s.Failure != "":
		add(problem{key: "unreadable", text: "The program's own records cannot be read: " + s.Failure, remedy: toDetails, action: details, urgent: true})
	}
	if s.late(now) {
		add(problem{key: "no_answer", text: "The OneDrive folder has not answered for " + span(now.Sub(s.AskedAt)) + "; what is shown may be out of date", remedy: toDetails, action: details})
	}
	failed := s.failure()
	if failed != nil {
		k, ok := failures[failed.Code]
		if !ok {
			k = known{failed.Error, toDetails, details}
		}
		add(problem{key: FailureKey, text: "The last backup failed: " + k.text, remedy: k.remedy, action: k.action, urgent: true})
	}
	if s.JobTrouble != "" && failed == nil {
		add(problem{key: "job_failed", text: "It did not work: " + s.JobTrouble, remedy: toDetails, action: details, urgent: true})
	}
	if s.Trouble != "" {
		add(problem{key: "click_failed", text: "It did not work: " + s.Trouble, remedy: toDetails, action: details})
	}
	if o := &s.Status.OneDrive; o.held() {
		add(problem{key: "sync_" + o.Verdict, text: "OneDrive has not uploaded everything: " + o.why(), remedy: toDetails, action: s.lookAtOneDrive()})
	}
	for _, t := range s.Status.Problems {
		if strings.HasPrefix(t.Code, "sync_") && s.Status.OneDrive.held() {
			continue // said already
		}
		if failed != nil && t.Code == failed.Code && strings.HasSuffix(t.Text, failed.Error) {
			continue // said already
		}
		p := problem{key: t.Code, text: t.Text, remedy: toDetails, action: details}
		if k, ok := remedies[t.Code]; ok {
			p.remedy, p.action = k.remedy, k.action
			if k.text != "" {
				p.text = k.text
			}
		}
		p.text = sentence(p.text)
		add(p)
	}
	return out
}

// late reports whether the look that is being taken has no answer for too long.
func (s *State) late(now time.Time) bool {
	return !s.AskedAt.IsZero() && now.Sub(s.AskedAt) >= patience
}

// failure returns the failure of the last backup; nil: it did not fail, or the owner stopped it.
func (s *State) failure() *Failure {
	if f := s.Status.LastFailure; f != nil && f.Code != "cancelled" {
		return f
	}
	return nil
}

// sentence begins a text with a capital letter, unless it begins with a name.
func sentence(s string) string {
	word, _, _ := strings.Cut(s, " ")
	if strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsLower(r) }) {
		return s
	}
	r := []rune(s)
	if len(r) > 0 {
		r[0] = unicode.ToUpper(r[0])
	}
	return string(r)
}
