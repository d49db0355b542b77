// Command maia-dr backs up a developer's working system into OneDrive and brings it back.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"maia-dr/engine"
	"maia-dr/engine/cli"
	"maia-dr/resources"
)

// version is stamped by the build.
var version = "0.1.0-dev"

func main() {
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := cli.NewProgram(engine.SystemEnv(), os.Stdin, os.Stdout, os.Stderr)
	p.Version, p.Script, p.Args = version, resources.RestoreScript, os.Args[1:]
	return cli.Run(ctx, p)
}
