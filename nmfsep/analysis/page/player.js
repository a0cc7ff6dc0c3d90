// Player: all rows and the mixture start at one sample and run side by side; a fader each decides what is heard.

class Player {
  constructor(sounds, preview) {
    this.preview = preview; // {begin, seconds, samples, rate}
    this.buffers = [];
    this.levels = sounds.map(() => 0); // what each fader is at
    this.volume = 1;
    this.context = null;
    this.sources = [];
    this.at = preview.begin; // where it stands, in seconds of the track
    this.region = null; // [begin, end] of what is repeated
    this.looping = false;
    this.onend = () => {};
    const decoder = new OfflineAudioContext(1, 1, preview.rate); // needs no click, unlike a real one
    this.ready = Promise.all(
      sounds.map(async (text, index) => {
        if (text) this.buffers[index] = await decoder.decodeAudioData(bytesOf(text).buffer);
      }),
    );
  }

  get end() {
    return this.preview.begin + this.preview.seconds;
  }

  get playing() {
    return this.sources.length > 0;
  }

  // Decoders that keep what an encoder puts before the sound give some samples more than there are.
  skip(buffer) {
    return buffer.length - this.preview.samples >= 1105 ? 1105 / this.preview.rate : 0;
  }

  // Start everything at one moment of a context; return the sources and faders.
  start(context, when, from) {
    const output = context.createGain();
    output.gain.value = this.volume;
    output.connect(context.destination);
    const [low, high] = this.stretch();
    const sources = [];
    const faders = this.buffers.map((buffer, index) => {
      const fader = context.createGain();
      fader.gain.value = this.levels[index];
      fader.connect(output);
      const source = context.createBufferSource();
      const skip = this.skip(buffer) - this.preview.begin;
      source.buffer = buffer;
      source.loop = this.looping;
      source.loopStart = low + skip;
      source.loopEnd = high + skip;
      source.connect(fader);
      source.start(when, from + skip);
      sources.push(source);
      return fader;
    });
    return { sources, faders, output };
  }

  stretch() {
    return this.region ?? [this.preview.begin, this.end];
  }

  async play() {
    await this.ready;
    this.context ??= new AudioContext({ sampleRate: this.preview.rate, latencyHint: "interactive" });
    await this.context.resume();
    this.halt();
    const [low, high] = this.stretch();
    if (this.at >= this.end - 0.01 || (this.looping && (this.at < low || this.at >= high))) this.at = low;
    this.startedAt = this.context.currentTime + 0.03;
    this.startedFrom = this.at;
    Object.assign(this, this.start(this.context, this.startedAt, this.at));
    const [first] = this.sources.filter(Boolean);
    first.onended = () => {
      if (first !== this.sources.find(Boolean)) return; // stopped by hand
      this.halt();
      this.at = this.preview.begin;
      this.onend();
    };
  }

  halt() {
    const sources = this.sources;
    this.sources = [];
    for (const source of sources.filter(Boolean)) source.stop();
  }

  pause() {
    this.at = this.position();
    this.halt();
  }

  position() {
    if (!this.playing) return this.at;
    const heard = this.context.currentTime - (this.context.outputLatency || 0);
    const place = this.startedFrom + Math.max(0, heard - this.startedAt);
    const [low, high] = this.stretch();
    return this.looping && place >= high ? low + ((place - low) % (high - low)) : Math.min(place, this.end);
  }

  async seek(seconds) {
    this.at = Math.min(Math.max(seconds, this.preview.begin), this.end);
    if (this.playing) await this.play();
  }

  async repeat(looping, region) {
    const at = this.position();
    [this.looping, this.region] = [looping, region];
    await this.seek(at);
  }

  setLevels(levels, volume = this.volume) {
    [this.levels, this.volume] = [levels, volume];
    if (!this.playing) return;
    const now = this.context.currentTime;
    this.faders.forEach((fader, index) => fader.gain.setTargetAtTime(levels[index], now, 0.008));
    this.output.gain.setTargetAtTime(volume, now, 0.008);
  }

  // What is heard from some second on, as samples of both channels, without playing it.
  async render(from = this.preview.begin, seconds = this.preview.seconds) {
    await this.ready;
    const { rate } = this.preview;
    const context = new OfflineAudioContext(2, Math.round(seconds * rate), rate);
    this.start(context, 0, from);
    const sound = await context.startRendering();
    return [0, 1].map((channel) => sound.getChannelData(channel));
  }

  // The sound of a template, struck once: its partials, which die away.
  async strike(partials) {
    this.context ??= new AudioContext({ sampleRate: this.preview.rate, latencyHint: "interactive" });
    await this.context.resume();
    this.struck?.stop();
    const rate = this.preview.rate;
    const samples = new Float32Array(Math.round(1.5 * rate));
    const total = Math.hypot(...partials.map(([, level]) => level)) || 1;
    partials.forEach(([hertz, level], number) => {
      const step = (2 * Math.PI * hertz) / rate;
      const phase = number * number * 2.4; // none alike, so that they do not add up to a click
      for (let i = 0; i < samples.length; i++) samples[i] += (level / total) * Math.sin(phase + step * i);
    });
    for (let i = 0; i < samples.length; i++) {
      samples[i] *= 0.3 * Math.min(1, i / (0.004 * rate)) * Math.exp((-4.6 * i) / samples.length);
    }
    const buffer = this.context.createBuffer(1, samples.length, rate);
    buffer.copyToChannel(samples, 0);
    this.struck = this.context.createBufferSource();
    this.struck.buffer = buffer;
    this.struck.connect(this.context.destination);
    this.struck.start();
  }
}
