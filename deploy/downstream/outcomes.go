// Reads the outcomes of identihook, each at least once, with a consumer group of its own.
//
// Needs redigo (Debian: golang-github-gomodule-redigo-dev, with GO111MODULE=off GOPATH=/usr/share/gocode). Run as many as
// you like: the group shares the outcomes among them.
//
//	REDIS_URL             redis://user:password@host:6379/0, rediss://… or unix:///path
//	IDENTIHOOK_NAMESPACE  the same as identihook's (identihook)
//	GROUP                 the name of your service (example): each group gets every outcome
//	CLAIM_AFTER_MS        how long an outcome may be in work before another takes it over (60000)
package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gomodule/redigo/redis"
)

const deliveriesMaximum = 10

var (
	stream     = "{" + setting("IDENTIHOOK_NAMESPACE", "identihook") + "}:outcomes"
	group      = setting("GROUP", "example")
	claimAfter = setting("CLAIM_AFTER_MS", "60000")
	stopping   int32
)

// handle is yours. It may be called twice for one outcome, so let the second time do nothing: outcome["event"] tells.
func handle(outcome map[string]string) error {
	line, err := json.Marshal(outcome)
	if err == nil {
		fmt.Println(string(line))
	}
	return err
}

func setting(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

func complain(format string, values ...interface{}) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
}

func connect() (redis.Conn, error) {
	options := []redis.DialOption{redis.DialConnectTimeout(5 * time.Second), redis.DialReadTimeout(10 * time.Second)}
	address, err := url.Parse(setting("REDIS_URL", "redis://127.0.0.1:6379/0"))
	if err != nil {
		return nil, err
	}
	if address.Scheme != "unix" {
		return redis.DialURL(address.String(), options...)
	}
	if password, given := address.User.Password(); given {
		options = append(options, redis.DialUsername(address.User.Username()), redis.DialPassword(password))
	}
	return redis.Dial("unix", address.Path, options...)
}

func makeGroup(conn redis.Conn) error {
	_, err := conn.Do("XGROUP", "CREATE", stream, group, "0", "MKSTREAM") // from the beginning: nothing is passed over
	if err != nil && strings.HasPrefix(err.Error(), "BUSYGROUP") {
		return nil
	}
	return err
}

// take gives what a consumer that has died, or failed, has left; else what is new: { id, { field, value … } } of each.
func take(conn redis.Conn, consumer string) ([]interface{}, error) {
	claimed, err := redis.Values(conn.Do("XAUTOCLAIM", stream, group, consumer, claimAfter, "0-0", "COUNT", 10))
	if err != nil {
		return nil, err
	}
	if left, err := redis.Values(claimed[1], nil); err != nil || len(left) > 0 {
		return left, err
	}
	read, err := redis.Values(conn.Do("XREADGROUP", "GROUP", group, consumer, "COUNT", 10, "BLOCK", 1000, "STREAMS", stream, ">"))
	if err == redis.ErrNil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	first, err := redis.Values(read[0], nil)
	if err != nil {
		return nil, err
	}
	return redis.Values(first[1], nil)
}

// mayComeAgain tells whether an outcome that has failed was not delivered too often yet.
func mayComeAgain(conn redis.Conn, id string) bool {
	pending, err := redis.Values(conn.Do("XPENDING", stream, group, id, id, 1))
	if err != nil || len(pending) == 0 {
		return true
	}
	fields, err := redis.Values(pending[0], nil)
	if err != nil {
		return true
	}
	deliveries, err := redis.Int(fields[3], nil)
	return err != nil || deliveries < deliveriesMaximum
}

// carry sees to one entry. One without fields was redacted or trimmed meanwhile: there is nothing left to do about it.
func carry(conn redis.Conn, entry interface{}) error {
	parts, err := redis.Values(entry, nil)
	if err == redis.ErrNil { // what Redis 6.2 gives for one that is gone
		return nil
	}
	if err != nil {
		return err
	}
	id, err := redis.String(parts[0], nil)
	if err != nil {
		return err
	}
	if outcome, err := redis.StringMap(parts[1], nil); err == nil {
		if err := handle(outcome); err != nil {
			complain("%s failed", id)
			if mayComeAgain(conn, id) { // after CLAIM_AFTER_MS
				return nil
			}
			complain("%s is given up", id)
		}
	}
	_, err = conn.Do("XACK", stream, group, id)
	return err
}

// serve goes on until something fails, or it is to stop.
func serve(consumer string) error {
	conn, err := connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := makeGroup(conn); err != nil {
		return err
	}
	for atomic.LoadInt32(&stopping) == 0 {
		entries, err := take(conn, consumer)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if err := carry(conn, entry); err != nil {
				return err
			}
		}
	}
	mine, err := redis.Values(conn.Do("XPENDING", stream, group, "-", "+", 1, consumer))
	if err == nil && len(mine) == 0 { // else they would be dropped with it
		_, err = conn.Do("XGROUP", "DELCONSUMER", stream, group, consumer)
	}
	return err
}

func main() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		atomic.StoreInt32(&stopping, 1)
	}()
	host, _ := os.Hostname()
	consumer := fmt.Sprintf("%s-%d", host, os.Getpid())
	for atomic.LoadInt32(&stopping) == 0 {
		if err := serve(consumer); err != nil { // Redis is away, or the group is: both come back
			complain("redis: %v", err)
			time.Sleep(500 * time.Millisecond)
		}
	}
}
