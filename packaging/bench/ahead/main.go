// Command ahead is maia-dr with a clock that runs ahead by the number of days in MAIA_BENCH_DAYS_AHEAD, for benchmarks of
// backups of many days: all of one day would be thinned by the retention rule. Nothing else differs from the program.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"maia-dr/engine"
	"maia-dr/engine/cli"
	"maia-dr/resources"
)

func main() {
	days, err := strconv.Atoi(os.Getenv("MAIA_BENCH_DAYS_AHEAD"))
	if err != nil {
		log.Fatalf("ahead: MAIA_BENCH_DAYS_AHEAD: %v", err)
	}
	os.Exit(run(time.Duration(days) * 24 * time.Hour))
}

func run(by time.Duration) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	env := engine.SystemEnv()
	env.Now = func() time.Time { return time.Now().Add(by) }
	p := cli.NewProgram(env, os.Stdin, os.Stdout, os.Stderr)
	p.Version, p.Script, p.Args = "0.1.0-bench", resources.RestoreScript, os.Args[1:]
	return cli.Run(ctx, p)
}
