package engine

import (
	"testing"
	"time"

	"maia-dr/engine/component"
	"maia-dr/engine/onedrive"
	"maia-dr/engine/repository"
)

// TestWords: one is one, and what is old is told in days.
func TestWords(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		counted(0, "file", "files"): "0 files", counted(1, "file", "files"): "1 file", counted(int64(2), "file", "files"): "2 files",
		AgeText(-time.Hour): "under a minute", AgeText(59 * time.Second): "under a minute", AgeText(time.Minute): "1 minute", AgeText(61 * time.Minute): "1 hour",
		AgeText(47*time.Hour + 59*time.Minute): "47 hours", AgeText(48 * time.Hour): "2 days", AgeText(171 * time.Hour): "7 days",
		hoursAndMinutes(195 * time.Hour): "8 days", hoursAndMinutes(3 * time.Hour): "3 h 0 min", hoursAndMinutes(5 * time.Minute): "5 min",
		firstOf([]string{"x"}): "a problem: x", firstOf([]string{"x", "y"}): "2 problems, x among them",
		megabytes(999_999): "under 1 MB", megabytes(1_000_000): "1 MB",
		waitingText(&onedrive.Judgement{Waiting: 1, Files: 1}): "1 of 1 file awaits upload", waitingText(&onedrive.Judgement{Waiting: 2, Files: 12}): "2 of 12 files await upload",
		SecretsKept{InVault: 3}.LeftOut():              "",
		SecretsKept{Missing: 1}.LeftOut():              "1 file with secrets is not in the backup",
		SecretsKept{Redacted: 1, Missing: 2}.LeftOut(): "2 files with secrets are not in the backup, 1 file is in it without its secrets",
		SecretsKept{Redacted: 2, InVault: 2}.LeftOut(): "2 files are in it without their secrets",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestHistoryText: of a backup without a vault it is said where the git history is, and what of it nobody else has.
func TestHistoryText(t *testing.T) {
	t.Parallel()
	remote := []component.GitRemote{{Name: "origin", URL: "https://example.org/x"}}
	for _, c := range []struct {
		git     component.GitState
		files   []repository.File
		leftOut string
		text    string // if it is another
	}{
		{git: component.GitState{}},
		{git: component.GitState{Present: true, NoRemote: true}},
		{git: component.GitState{Present: true, Head: "abc", NoRemote: true}, leftOut: "the git history is not in it, and no remote has it"},
		{git: component.GitState{Present: true, Head: "abc", NoRemote: true}, files: []repository.File{{Component: component.Code, Path: ".git/HEAD"}}},
		{git: component.GitState{Present: true, Head: "abc", Remotes: remote}, text: "the git history is not in it: a restore fetches it from its remotes"},
		{git: component.GitState{Present: true, Head: "abc", Remotes: remote, Unpushed: 1}, leftOut: "of the git history 1 commit that is on no remote is not in it"},
		{git: component.GitState{Present: true, Head: "abc", Remotes: remote, Stashes: 2}, leftOut: "of the git history 2 stashes are not in it"},
		{git: component.GitState{Present: true, Head: "abc", Remotes: remote, Unpushed: 2, Stashes: 1}, leftOut: "of the git history 2 commits that are on no remote and 1 stash are not in it"},
		{git: component.GitState{Present: true, Problem: "git is not here", Unpushed: -1}, leftOut: "the git history is not in it, and whether it can be had from elsewhere is not known"},
	} {
		m := &repository.Manifest{SystemMetadata: mustJSON(systemMetadata{Git: c.git})}
		if got := historyLeftOut(m, c.files); got != c.leftOut {
			t.Errorf("%+v: %q, want %q", c.git, got, c.leftOut)
		}
		if c.text == "" {
			c.text = c.leftOut
		}
		if got := historyText(m, c.files); got != c.text {
			t.Errorf("%+v: %q, want %q", c.git, got, c.text)
		}
	}
}
