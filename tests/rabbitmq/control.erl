%% Runs inside the private server and answers the test program, line by line: commands come on descriptor 3,
%% answers go to descriptor 4. The end of the commands ends the server.
-module(control).
-export([start/0]).

start() ->
    spawn(fun() ->
        Port = open_port({fd, 3, 4}, [binary, {line, 4096}, eof]),
        rabbit:await_startup(),
        answer(Port, <<"ready">>),
        serve(Port)
    end).

serve(Port) ->
    receive
        {Port, {data, {eol, Line}}} ->
            answer(Port, perform(binary:split(Line, <<" ">>))),
            serve(Port);
        {Port, eof} ->
            erlang:halt(0, [{flush, false}])
    end.

answer(Port, Text) -> port_command(Port, [Text, $\n]).

perform([<<"add">>, VHost]) ->
    ok = rabbit_vhost:add(VHost, <<"levada">>),
    ok = rabbit_auth_backend_internal:set_permissions(
           <<"guest">>, VHost, <<".*">>, <<".*">>, <<".*">>, <<"levada">>),
    <<"ok">>;
perform([<<"delete">>, VHost]) ->
    rabbit_vhost:delete(VHost, <<"levada">>),
    <<"ok">>;
perform([<<"settle">>, VHost]) ->
    Deadline = erlang:monotonic_time(millisecond) + 20000,
    settle(VHost, Deadline, 1).

%% Waits until no queue of the virtual host, and no channel, has anything left to do. All of them are looked at
%% twice. When each was idle with an empty mailbox both times and has not run between, then all were idle at
%% the end of the first look, so that nobody was left to send anything. Returns the number of attempts, or
%% "restless": dead letters may go round for ever.
settle(VHost, Deadline, Attempt) ->
    Pids = [amqqueue:get_pid(Q) || Q <- rabbit_amqqueue:list(VHost)] ++ rabbit_channel:list_local(),
    First = look(Pids),
    case First =/= busy andalso look(Pids) =:= First of
        true -> integer_to_binary(Attempt);
        false ->
            case erlang:monotonic_time(millisecond) > Deadline of
                true -> <<"restless">>;
                false -> erlang:yield(), settle(VHost, Deadline, Attempt + 1)
            end
    end.

look(Pids) -> look(Pids, []).

look([], Seen) -> Seen;
look([Pid | Others], Seen) ->
    case erlang:process_info(Pid, [message_queue_len, status, reductions]) of
        undefined -> look(Others, [gone | Seen]);
        [{_, 0}, {_, waiting}, {_, Reductions}] -> look(Others, [Reductions | Seen]);
        _ -> busy
    end.
