// Command sabotage breaks the program in one place after another (drops an fsync, skips a hash, accepts a MAC, follows a link)
// and shows that the tests notice each time. What they do not notice is a test that is missing.
//
//	go run ./packaging/sabotage              all of them: half an hour
//	go run ./packaging/sabotage -run prune   those whose text or file matches
//	go run ./packaging/sabotage -list        what there is
//
// A mutation is data, see mutation; those of the script replace the file that is embedded. Each has to compile, and the tests named beside
// it, which pass with nothing broken, have to fail. It exits with 1 if one survives or the list is out of date.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"regexp"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("sabotage: ")
	only := flag.String("run", "", "only those whose text or file matches this `pattern`")
	list := flag.Bool("list", false, "print the list and break nothing")
	limit := flag.Duration("limit", 3*time.Minute, "how long the tests of one may take")
	trust := flag.Bool("trust", false, "do not run the tests with nothing broken first")
	flag.Parse()
	pattern, err := regexp.Compile(*only)
	if err != nil {
		log.Fatalf("-run: %v", err)
	}
	var chosen []mutation
	for _, m := range all() {
		if pattern.MatchString(m.what) || pattern.MatchString(m.file) {
			chosen = append(chosen, m)
		}
	}
	if *list {
		for i := range chosen {
			fmt.Printf("%3d  %-36s %s\n", i+1, chosen[i].file, chosen[i].what)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	outcomes, err := sabotage(ctx, chosen, *limit, *trust)
	stop()
	if err != nil {
		log.Fatal(err)
	}
	if !report(outcomes) {
		os.Exit(1)
	}
}

// sabotage tries the mutations one after another.
func sabotage(ctx context.Context, list []mutation, limit time.Duration, trust bool) ([]outcome, error) {
	for _, err := range checkAll(".", list) {
		return nil, fmt.Errorf("the list is out of date: %w", err)
	}
	l, err := newLab(".", limit)
	if err != nil {
		return nil, err
	}
	defer l.close()
	var outcomes []outcome
	for i := range list {
		m := &list[i]
		o := outcome{mutation: m}
		if !trust {
			o.err = l.whole(ctx, m)
		}
		if o.err == nil {
			o = l.try(ctx, m)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		fmt.Printf("%3d/%d  %-36s %-64s %-44s %4.0f s\n", i+1, len(list), m.file, m.what, o.verdict(), o.seconds)
		if o.err != nil {
			fmt.Println(o.err)
		}
		outcomes = append(outcomes, o)
	}
	return outcomes, nil
}

// report prints the table and reports whether every mutation was found.
func report(outcomes []outcome) bool {
	found := 0
	for _, o := range outcomes {
		if o.err == nil && o.found != "" {
			found++
		}
	}
	fmt.Println()
	table(os.Stdout, outcomes)
	fmt.Printf("\n%s: %d of %d found.\n", time.Now().Format(time.DateOnly), found, len(outcomes))
	return found == len(outcomes)
}
