// Command maia-dr, as main.go has it, with a clock that tests set, and, where they ask for it, with a status that they
// write. The build takes it in the place of main.go.
package main

import (
	"context"
	"encoding/json"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"maia-dr/engine"
	"maia-dr/engine/cli"
	"maia-dr/engine/onedrive"
	"maia-dr/resources"
	"maia-dr/tray"
	"maia-dr/tray/menu"
	"maia-dr/tray/notify"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	env := engine.SystemEnv()
	env.Now, env.Awake = clock, nil
	if dir := os.Getenv("MAIA_TEST_LOOK"); dir != "" {
		return scripted(ctx, env, dir)
	}
	p := cli.NewProgram(env, os.Stdin, os.Stdout, os.Stderr)
	if path := os.Getenv("MAIA_TEST_SYNC"); path != "" {
		p.Provider = func(string) onedrive.Provider { return answers(path) }
	}
	p.Version, p.Script, p.Args = "0.1.0-test", resources.RestoreScript, os.Args[1:]
	return cli.Run(ctx, p)
}

// answers is a file with what OneDrive answers of every file: lines of how far the clock must have been moved, a rung, and
// what is in its way. The last that the clock has come to counts.
type answers string

func (answers) Name() string           { return "scripted" }
func (answers) Highest() onedrive.Rung { return onedrive.ClientUploaded }

func (path answers) Observe(_ context.Context, paths []string) ([]onedrive.Answer, error) {
	b, err := os.ReadFile(string(path))
	if err != nil {
		return nil, err
	}
	moved := time.Until(clock())
	var a onedrive.Answer
	for line := range strings.Lines(string(b)) {
		words := append(strings.Fields(line), "")
		from, err := time.ParseDuration(words[0])
		if err != nil {
			return nil, err
		}
		if moved < from-time.Minute {
			continue
		}
		if err := a.Rung.UnmarshalText([]byte(words[1])); err != nil {
			return nil, err
		}
		a.Class = onedrive.Class(words[2])
	}
	return slices.Repeat([]onedrive.Answer{a}, len(paths)), nil
}

func (answers) Health(context.Context) onedrive.Health {
	return onedrive.Health{Running: onedrive.Yes}
}

// clock is the real one, moved by the duration or replaced by the time in a file.
func clock() time.Time {
	b, err := os.ReadFile(os.Getenv("MAIA_TEST_CLOCK"))
	if err != nil {
		return time.Now()
	}
	if d, err := time.ParseDuration(string(b)); err == nil {
		return time.Now().Add(d)
	}
	t, err := time.Parse(time.RFC3339, string(b))
	if err != nil {
		panic(err)
	}
	return t
}

// scripted shows the menu of the status in a folder, which is the state directory as well.
func scripted(ctx context.Context, env engine.Env, dir string) int {
	err := tray.Run(ctx, tray.Options{
		StateDir: dir, Prepare: func() error { return nil }, Now: env.Now, Getenv: env.Getenv, UID: os.Getuid(), Engine: scriptedEngine(dir),
		Scheduler: timetable{}, Program: "/bin/false", Can: menu.Capabilities{Terminal: true, Report: true, Doctor: true, Schedule: true, OneDrive: true},
		Version: "0.1.0-test", Log: zerolog.Nop(),
		Keeper: &notify.Keeper{Dir: dir, Now: env.Now, Channels: []notify.Channel{notify.Screen(env.Getenv, os.Getuid())}},
	})
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		return 1
	}
	return 0
}

type scriptedEngine string

func (dir scriptedEngine) Look(context.Context) (tray.Look, error) {
	var l tray.Look
	b, err := os.ReadFile(string(dir) + "/status.json")
	if err != nil {
		return l, err
	}
	var file struct {
		Status json.RawMessage
		Recent []menu.Backup
	}
	if err := json.Unmarshal(b, &file); err != nil {
		return l, err
	}
	l.Recent = file.Recent
	l.Status, err = menu.Decode(file.Status)
	return l, err
}

func (dir scriptedEngine) Glance() (string, *menu.Run, error) {
	l, err := dir.Look(context.Background())
	return l.Status.Activity, l.Status.Run, err
}

type timetable struct{}

func (timetable) Timetable(context.Context) (menu.Timetable, error) {
	return menu.Timetable{Known: true, Daily: true, Hour: 3}, nil
}

func (timetable) Switch(context.Context, string, bool) error { return nil }
