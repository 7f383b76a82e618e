// The usual way to receive Stripe's webhooks in Go: net/http and redigo, each request with a connection from the pool.
// It verifies the signature, marks the event as seen, adds it to a stream, and answers when Redis has replied.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"
)

const (
	tolerance   = 300 * time.Second
	maximumBody = 1 << 20
)

var errSignature = errors.New("no signature matches the body")

type event struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	Data struct {
		Object struct {
			ID string `json:"id"`
		} `json:"object"`
	} `json:"data"`
}

type receiver struct {
	secret []byte
	pool   *redis.Pool
}

func (r *receiver) verify(body []byte, header string) error {
	var moment string
	var signatures []string
	for _, part := range strings.Split(header, ",") {
		name, value, _ := strings.Cut(part, "=")
		switch name {
		case "t":
			moment = value
		case "v1":
			signatures = append(signatures, value)
		}
	}
	seconds, err := strconv.ParseInt(moment, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)) > tolerance {
		return errSignature
	}
	mac := hmac.New(sha256.New, r.secret)
	mac.Write([]byte(moment))
	mac.Write([]byte{'.'})
	mac.Write(body)
	expected := mac.Sum(nil)
	for _, signature := range signatures {
		given, err := hex.DecodeString(signature)
		if err == nil && hmac.Equal(given, expected) {
			return nil
		}
	}
	return errSignature
}

// Returns whether the event is new.
func (r *receiver) store(event *event, body []byte) (bool, error) {
	connection := r.pool.Get()
	defer connection.Close()
	_, err := redis.String(connection.Do("SET", "seen:"+event.ID, "1", "EX", 2592000, "NX"))
	if err == redis.ErrNil {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = connection.Do("XADD", "events", "*", "event", event.ID, "type", event.Type, "session", event.Data.Object.ID, "payload", body)
	return true, err
}

func answer(response http.ResponseWriter, status int, value any) {
	response.Header().Set("Content-Type", "application/json")
	response.WriteHeader(status)
	_ = json.NewEncoder(response).Encode(value)
}

func (r *receiver) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(response, request.Body, maximumBody))
	if err != nil {
		answer(response, 400, map[string]string{"error": "body"})
		return
	}
	if err := r.verify(body, request.Header.Get("Stripe-Signature")); err != nil {
		answer(response, 400, map[string]string{"error": err.Error()})
		return
	}
	var event event
	if err := json.Unmarshal(body, &event); err != nil {
		answer(response, 400, map[string]string{"error": err.Error()})
		return
	}
	first, err := r.store(&event, body)
	if err != nil {
		answer(response, 503, map[string]string{"error": err.Error()})
		return
	}
	answer(response, 200, map[string]bool{"received": true, "duplicate": !first})
}

func main() {
	socket := os.Getenv("REDIS_SOCKET")
	pool := &redis.Pool{
		MaxIdle: 64,
		Dial:    func() (redis.Conn, error) { return redis.Dial("unix", socket) },
	}
	http.Handle("/webhook", &receiver{secret: []byte(os.Getenv("STRIPE_WEBHOOK_SECRET")), pool: pool})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
