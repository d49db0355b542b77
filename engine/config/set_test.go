package config

import (
	"errors"
	"strings"
	"testing"
)

func TestSet(t *testing.T) {
	for name, c := range map[string]struct{ before, key, value, after string }{
		"no file":        {"", "schedule.at", "04:30", "\n[schedule]\nat = \"04:30\"\n"},
		"no table":       {"maia_root = \"/x\"", "schedule.at", "04:30", "maia_root = \"/x\"\n\n[schedule]\nat = \"04:30\"\n"},
		"no line":        {"[schedule] # mine\ndrill = \"off\"\n[git]\n", "schedule.at", "04:30", "[schedule] # mine\nat = \"04:30\"\ndrill = \"off\"\n[git]\n"},
		"its line":       {"[schedule]\n# at is when\nat=\"03:00\"  # night\ndrill = \"off\"", "schedule.at", "04:30", "[schedule]\n# at is when\nat = \"04:30\"\ndrill = \"off\""},
		"at the top":     {"# mine\n[git]\nkeep_history = true\n", "maia_root", "/Users/kim/git/m\"a\\ia", "maia_root = \"/Users/kim/git/m\\\"a\\\\ia\"\n# mine\n[git]\nkeep_history = true\n"},
		"top's own line": {"onedrive_path = \"\"\n", "onedrive_path", "/x", "onedrive_path = \"/x\"\n"},
	} {
		got, err := Set([]byte(c.before), c.key, c.value)
		if err != nil || string(got) != c.after {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	// In the file that shows every key, each text is one line.
	for key, value := range map[string]string{"schedule.at": "04:30", "maia_root": "/x", "onedrive_path": "/y", "schedule.drill": "off"} {
		b, err := Set(Default(), key, value)
		if err != nil || strings.Count(string(b), "\n") != strings.Count(string(Default()), "\n") {
			t.Errorf("%s: %v\n%s", key, err, b)
		}
	}
	for name, c := range map[string]struct {
		before, key, value string
		want               error
	}{
		"unknown":         {"", "schedule.when", "04:30", ErrUnknownKey},
		"unknown table":   {"", "plan.at", "04:30", ErrUnknownKey},
		"a table":         {"", "schedule", "x", ErrSyntax},
		"bad value":       {"", "schedule.at", "noon", ErrValue},
		"newline":         {"", "maia_root", "/x\n[git]", ErrValue},
		"broken before":   {"[schedule", "schedule.at", "04:30", ErrSyntax},
		"two in one line": {"schedule = { at = \"03:00\" }\n", "schedule.at", "04:30", ErrSyntax},
	} {
		if got, err := Set([]byte(c.before), c.key, c.value); !errors.Is(err, c.want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if b, err := Set([]byte("[capture]\nexclude = [\n\"a\",\nat = 1\n"), "schedule.at", "04:30"); err == nil {
		t.Errorf("%s", b)
	}
}
