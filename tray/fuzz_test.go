package tray

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// FuzzTimetable: whatever the schedule's command answers is a time of day, or an error.
func FuzzTimetable(f *testing.F) {
	for _, s := range []string{
		`{"version":1,"at":"03:00","next_backup":"2025-10-14T03:00:00Z","backup":{"installed":true},"menu":{"installed":false}}`,
		`{"version":1,"at":"24:00"}`, `{"version":2,"at":"03:00"}`, `{"version":1,"at":3}`, `null`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseTimetable(b)
		if err != nil {
			if s.Known {
				t.Errorf("%+v, %v", s, err)
			}
			return
		}
		if !s.Known || s.Hour < 0 || s.Hour > 23 || s.Minute < 0 || s.Minute > 59 {
			t.Errorf("%+v", s)
		}
	})
}

// FuzzChoices: whatever the file of the choices holds is read as choices, or as none, and what is written of them reads as the same again.
func FuzzChoices(f *testing.F) {
	for _, s := range []string{
		`{"paused_until":"2025-10-14T03:00:00Z","muted":{"slow_upload":"2025-10-20T03:00:00Z"}}`, `{"muted":null}`, `{"muted":{"a":"never"}}`, `[]`, `null`, ``,
	} {
		f.Add([]byte(s))
	}
	dir := f.TempDir()
	path := filepath.Join(dir, choicesName)
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		was, err := ReadChoices(dir)
		if err != nil {
			if len(was.Muted) > 0 || !was.PausedUntil.IsZero() {
				t.Errorf("%+v, %v", was, err)
			}
			return
		}
		text, err := json.Marshal(was)
		if err != nil {
			return // a year that JSON does not have
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		again, err := ReadChoices(dir)
		if err != nil || len(again.Muted) != len(was.Muted) || !again.PausedUntil.Equal(was.PausedUntil) {
			t.Errorf("%+v, %v, was %+v", again, err, was)
		}
	})
}
