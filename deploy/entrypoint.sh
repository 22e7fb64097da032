#!/bin/sh
# Start a component of Airflow. The simple auth manager opens its file of passwords for writing,
# which a secret does not allow, so it gets a copy in memory.
set -eu
umask 077
passwords=/run/secrets/airflow_passwords.json
if [ -r "$passwords" ]; then
    cp "$passwords" "$AIRFLOW_HOME/passwords.json"
    chmod 0600 "$AIRFLOW_HOME/passwords.json"
fi
exec "$@"
